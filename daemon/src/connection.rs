//! One client: handshake, then one thread that reads requests and one that carries them out, so that an interrupt can
//! arrive while a request runs.

use crate::audience::Post;
use crate::fault::Fault;
use crate::interrupt::Interrupt;
use crate::link::{Link, LinkError};
use crate::progress::Task;
use crate::recordings::Recordings;
use crate::session::{Answer, Session};
use crate::writer::Writer;
use rdb_protocol::client::{Call, Failure, FailureCode, Hello, MAGIC, Notification, Reply, Request, VERSION, Welcome};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

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
pub(crate) fn serve(stream: UnixStream, recordings: &Recordings) -> io::Result<()> {
    stream.set_write_timeout(Some(DELIVERY))?;
    let mut link = Link::new(stream.try_clone()?);
    if !greet(&mut link) {
        return Ok(());
    }
    let writer = Arc::new(Writer::new(stream.try_clone()?)?);
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
    work(&receiver, &writer, &interrupt, recordings);
    recordings.left();
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

fn work(requests: &Receiver<Request>, writer: &Arc<Writer>, interrupt: &Interrupt, recordings: &Recordings) {
    let mut session: Option<Session> = None;
    for Request { id, call } in requests {
        let mut report = |done, total| writer.tell(Notification::Progress { done, total });
        let mut task = Task::new(interrupt, &mut report);
        let answer = answer(&mut session, call, &mut task, recordings, writer);
        // Before the answer goes out: an interrupt sent on seeing it is for the next request.
        interrupt.end();
        writer.respond(id, answer.result.map_err(Failure::from));
    }
}

fn answer<'a>(
    session: &'a mut Option<Session>,
    call: Call,
    task: &mut Task<'_>,
    recordings: &Recordings,
    writer: &Arc<Writer>,
) -> Answer<'a> {
    match (session, call) {
        (Some(session), call) => session.call(call, task),
        (session @ None, Call::Open { trace, cursor }) => {
            let opened = recordings.get(Path::new(&trace)).and_then(|recording| {
                let post = Arc::clone(writer) as Arc<dyn Post>;
                Session::open(recording, cursor.as_deref(), post, task)
            });
            Answer::new(opened.map(|(opened, stop)| {
                *session = Some(opened);
                Reply::Opened(stop)
            }))
        }
        (None, _) => Answer::new(Err(Fault::told(
            FailureCode::Protocol,
            "no trace is open on this connection; open one first",
        ))),
    }
}
