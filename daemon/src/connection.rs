//! One client: handshake, then one thread that reads requests and one that carries them out, so that an interrupt can
//! arrive while a request runs.

use crate::facts::TraceFacts;
use crate::fault::Fault;
use crate::host::Host;
use crate::interrupt::Interrupt;
use crate::link::{Link, LinkError};
use crate::progress::Task;
use crate::session::{Numbers, Session};
use rdb_protocol::client::{
    Call, Failure, FailureCode, FromDaemon, Hello, MAGIC, Notification, Reply, Request, Response, VERSION, Welcome,
};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Makes the host for a trace.
pub(crate) type Hosts = dyn Fn(&Path) -> Result<Arc<dyn Host>, Fault> + Send + Sync;

/// Time for a stranger to say who it is.
const GREETING: Duration = Duration::from_secs(5);
/// Time for a client to take what it is sent.
const DELIVERY: Duration = Duration::from_secs(30);
/// Longest greeting, longest request.
const SHORT: usize = 64;
const LONG: usize = 1 << 20;
/// Requests read ahead.
const QUEUE: usize = 16;

/// Serves one client until it goes.
pub(crate) fn serve(stream: UnixStream, hosts: &Hosts) -> io::Result<()> {
    stream.set_write_timeout(Some(DELIVERY))?;
    let mut link = Link::new(stream.try_clone()?);
    if !greet(&mut link) {
        return Ok(());
    }
    let writer = Arc::new(Writer {
        link: Mutex::new(Link::new(stream.try_clone()?)),
    });
    let interrupt = Arc::new(Interrupt::default());
    let (sender, receiver) = sync_channel(QUEUE);
    let reader = {
        let (writer, interrupt) = (Arc::clone(&writer), Arc::clone(&interrupt));
        std::thread::Builder::new()
            .name("reader".into())
            .spawn(move || read(link, &sender, &writer, &interrupt))?
    };
    // Also on the way out of a panic: the reader must not wait for ever.
    let _closed = Closed(&stream);
    work(&receiver, &writer, &interrupt, hosts);
    drop(receiver);
    let _ = stream.shutdown(Shutdown::Both);
    let _ = reader.join();
    Ok(())
}

struct Closed<'a>(&'a UnixStream);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Whether the peer is a client that understands us. One that does not is told our version, if it is a client at all.
fn greet(link: &mut Link) -> bool {
    let hello: Result<Hello, LinkError> = link.receive_short(Some(Instant::now() + GREETING), SHORT);
    let welcome = Welcome {
        version: VERSION,
        pid: std::process::id().cast_signed(),
    };
    match hello {
        Ok(hello) if hello.magic == MAGIC => link.send(&welcome).is_ok() && hello.version == VERSION,
        Ok(_) | Err(LinkError::Garbled(_)) => {
            let _ = link.send(&welcome);
            eprintln!("rdbd: refused a client that does not speak version {VERSION} of the rdb protocol");
            false
        }
        Err(_) => false,
    }
}

fn read(mut link: Link, sender: &SyncSender<Request>, writer: &Writer, interrupt: &Interrupt) {
    loop {
        match link.receive_short::<Request>(None, LONG) {
            Ok(Request { id, call: Call::Interrupt }) => {
                interrupt.fire();
                writer.respond(id, Ok(Reply::Done));
            }
            Ok(request) => {
                interrupt.begin();
                if sender.send(request).is_err() {
                    break;
                }
            }
            Err(LinkError::Garbled(e)) => {
                // Its id cannot be known; ids of clients start above zero.
                writer.respond(
                    0,
                    Err(Failure {
                        code: FailureCode::Protocol,
                        text: format!("{e}: the connection is closed"),
                    }),
                );
                break;
            }
            Err(_) => break,
        }
    }
    interrupt.close();
}

fn work(requests: &Receiver<Request>, writer: &Writer, interrupt: &Interrupt, hosts: &Hosts) {
    let mut session: Option<Session> = None;
    for Request { id, call } in requests {
        let mut report = |done, total| writer.send(&FromDaemon::Notification(Notification::Progress { done, total }));
        let mut task = Task::new(interrupt, &mut report);
        let result = answer(&mut session, call, &mut task, hosts);
        // Before the answer goes out: an interrupt sent on seeing it is for the next request.
        interrupt.end();
        writer.respond(id, result.map_err(Failure::from));
    }
}

fn answer(session: &mut Option<Session>, call: Call, task: &mut Task<'_>, hosts: &Hosts) -> Result<Reply, Fault> {
    match (session.as_mut(), call) {
        (Some(session), call) => session.call(call, task),
        (None, Call::Open { trace }) => {
            let facts = TraceFacts::read(Path::new(&trace))?;
            let host = hosts(&facts.path)?;
            let (opened, stop) = Session::open(facts, host, Numbers::default(), task)?;
            *session = Some(opened);
            Ok(Reply::Opened(stop))
        }
        (None, _) => Err(Fault::told(
            FailureCode::Protocol,
            "no trace is open on this connection; open one first",
        )),
    }
}

/// The one mouth of a connection's two threads. A client that is gone is noticed by the reader.
struct Writer {
    link: Mutex<Link>,
}

impl Writer {
    fn respond(&self, id: u64, result: Result<Reply, Failure>) {
        self.send(&FromDaemon::Response(Response { id, result }));
    }

    fn send(&self, message: &FromDaemon) {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if link.send(message).is_err() {
            // Half a frame may be out: nothing sensible can follow it.
            link.shut();
        }
    }
}
