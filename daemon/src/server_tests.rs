//! A whole daemon in this process, spoken to through its socket.

use crate::costs::Costs;
use crate::facts::TraceFacts;
use crate::fake::{FakeHost, World, write_trace};
use crate::host::Host;
use crate::link::{Link, LinkError};
use crate::placement::Limits;
use crate::recordings::Recordings;
use crate::server::Server;
use crate::survey_file::{self, Found};
use crate::travel_tests::plain;
use rdb_protocol::client::{
    Call, Failure, FailureCode, FromDaemon, Hello, MAGIC, Notification, Query, QueryOf, Reply, Request, Response, Stop, StopReason, Target,
    VERSION, Welcome,
};
use rdb_protocol::replay::Interpreter;
use rdb_protocol::{BreakpointPlace, Direction, SourceFile, Time};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Daemon {
    dir: TempDir,
    socket: PathBuf,
    host: Arc<FakeHost>,
    recordings: Arc<Recordings>,
    thread: JoinHandle<()>,
}

fn daemon(world: World, idle: Duration) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    write_trace(dir.path());
    let host = FakeHost::new(world);
    let hosts = {
        let host = host.clone();
        move |_: &Path| Ok(host.clone() as Arc<dyn Host>)
    };
    let server = Server::new(
        UnixListener::bind(&socket).unwrap(),
        Arc::new(hosts),
        crate::recording::Numbers::default(),
        idle,
    )
    .unwrap();
    let recordings = Arc::clone(&server.recordings);
    let thread = std::thread::spawn(move || server.run(|| ()).unwrap());
    Daemon {
        dir,
        socket,
        host,
        recordings,
        thread,
    }
}

const LONG: Duration = Duration::from_secs(600);

struct Client {
    link: Link,
    last: u64,
    progress: Vec<(u64, u64)>,
    news: Vec<Notification>,
}

impl Client {
    fn connect(daemon: &Daemon) -> Client {
        let mut link = Link::new(UnixStream::connect(&daemon.socket).unwrap());
        link.send(&Hello {
            magic: MAGIC,
            version: VERSION,
        })
        .unwrap();
        let welcome: Welcome = link.receive(soon()).unwrap();
        assert_eq!(welcome.version, VERSION);
        Client {
            link,
            last: 0,
            progress: Vec::new(),
            news: Vec::new(),
        }
    }

    fn open(daemon: &Daemon) -> Client {
        Client::open_trace(daemon, daemon.dir.path())
    }

    fn open_trace(daemon: &Daemon, trace: &Path) -> Client {
        let mut client = Client::connect(daemon);
        let opened = client.call(Call::Open {
            trace: trace.to_str().unwrap().into(),
            cursor: None,
        });
        assert!(matches!(opened, Ok(Reply::Opened(s)) if s.time == Time(1) && s.reason == StopReason::Here));
        client
    }

    fn send(&mut self, call: Call) -> u64 {
        self.last += 1;
        self.link.send(&Request { id: self.last, call }).unwrap();
        self.last
    }

    fn response(&mut self) -> Response {
        loop {
            match self.link.receive(soon()).unwrap() {
                FromDaemon::Response(response) => return response,
                FromDaemon::Notification(Notification::Progress { done, total }) => self.progress.push((done, total)),
                FromDaemon::Notification(news) => self.news.push(news),
            }
        }
    }

    fn call(&mut self, call: Call) -> Result<Reply, Failure> {
        let id = self.send(call);
        let response = self.response();
        assert_eq!(response.id, id);
        response.result
    }
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(30))
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_client_opens_travels_and_leaves_nothing_behind() {
    let daemon = daemon(World::new(1000), LONG);
    let mut client = Client::open(&daemon);
    let stop = client.call(Call::Step {
        count: 41,
        direction: Direction::Forward,
    });
    assert!(matches!(stop, Ok(Reply::Stopped(s)) if s.time == Time(42)));
    let twice = client
        .call(Call::Open {
            trace: "/".into(),
            cursor: None,
        })
        .unwrap_err();
    assert_eq!(twice.code, FailureCode::Protocol);
    let mut other = Client::open(&daemon);
    assert!(
        matches!(other.call(Call::When), Ok(Reply::Stopped(s)) if s.time == Time(1)),
        "sessions are independent"
    );
    drop(client);
    assert!(matches!(other.call(Call::Go { to: Target::End }), Ok(Reply::Stopped(s)) if s.time == Time(1000)));
    drop(other);
    wait_for("all replay processes end with their clients", || daemon.host.alive().is_empty());
}

#[test]
fn who_stays_gets_the_checkpoints_of_who_has_gone() {
    let daemon = daemon(World::new(1000), LONG);
    let whole = Limits::default().count;
    let mut stays = Client::open(&daemon);
    let most = || daemon.recordings.get(daemon.dir.path()).unwrap().maximum();
    assert_eq!(most(), whole);
    let second = tempfile::tempdir().unwrap();
    write_trace(second.path());
    let goes = Client::open_trace(&daemon, second.path());
    assert_eq!(most(), whole * 3 / 8, "the other one is used last");
    drop(goes);
    wait_for("all are for the one that is left", || most() == whole);
    assert!(stays.call(Call::When).is_ok());
}

#[test]
fn a_request_before_open_and_a_bad_trace_are_refused_and_the_connection_lives() {
    let daemon = daemon(World::new(10), LONG);
    let mut client = Client::connect(&daemon);
    assert_eq!(client.call(Call::When).unwrap_err().code, FailureCode::Protocol);
    let failure = client
        .call(Call::Open {
            trace: "/nonexistent/trace".into(),
            cursor: None,
        })
        .unwrap_err();
    assert_eq!(
        (failure.code, failure.text.as_str()),
        (FailureCode::Trace, "/nonexistent/trace: no such trace")
    );
    assert!(
        client
            .call(Call::Open {
                trace: daemon.dir.path().to_str().unwrap().into(),
                cursor: None,
            })
            .is_ok()
    );
}

#[test]
fn strangers_are_refused_and_others_served_on() {
    let daemon = daemon(World::new(10), LONG);
    let mut old = Link::new(UnixStream::connect(&daemon.socket).unwrap());
    old.send(&Hello {
        magic: MAGIC,
        version: VERSION + 1,
    })
    .unwrap();
    assert_eq!(old.receive::<Welcome>(soon()).unwrap().version, VERSION);
    assert!(matches!(old.receive::<FromDaemon>(soon()), Err(LinkError::Closed)));
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 4],
        &[0xff; 64],
        &[9, 0, 0, 0, b'r', b'd', b'b', b'9', 1, 1, 1, 1, 1],
    ] {
        let mut stream = UnixStream::connect(&daemon.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(garbage).unwrap();
        let mut said = Vec::new();
        // What it has not read when it closes makes a reset of the end.
        let _ = stream.read_to_end(&mut said);
        assert!(said.len() < 20, "at most a welcome");
    }
    let mut client = Client::open(&daemon);
    client.link.send(&"not a request, but a frame").unwrap();
    let Response { id, result } = client.response();
    assert_eq!((id, result.unwrap_err().code), (0, FailureCode::Protocol));
    assert!(matches!(client.link.receive::<FromDaemon>(soon()), Err(LinkError::Closed)));
    assert!(Client::open(&daemon).call(Call::When).is_ok());
}

#[test]
fn an_interrupt_arrives_while_a_request_runs() {
    let daemon = daemon(World::new(50_000_000), LONG);
    let mut client = Client::open(&daemon);
    let runs = daemon.host.runs.load(Ordering::SeqCst);
    let go = client.send(Call::Go { to: Target::End });
    wait_for("the survey runs", || daemon.host.runs.load(Ordering::SeqCst) > runs + 3);
    let interrupt = client.send(Call::Interrupt);
    let mut answers = [client.response(), client.response()];
    answers.sort_by_key(|r| r.id);
    assert_eq!(answers[0].id, go);
    assert_eq!(answers[0].result.as_ref().unwrap_err().code, FailureCode::Interrupted);
    assert_eq!(
        answers[1],
        Response {
            id: interrupt,
            result: Ok(Reply::Done)
        }
    );
    assert!(matches!(client.call(Call::When), Ok(Reply::Stopped(s)) if s.time == Time(1)));
    assert!(matches!(client.call(Call::Step { count: 1, direction: Direction::Forward }), Ok(Reply::Stopped(s)) if s.time == Time(2)));
    // An evaluation that hangs is stopped the same way.
    let hang = client.send(Call::Evaluate {
        source: "hang".into(),
        number: false,
        frame: rdb_protocol::FrameNumber { thread: None, number: 0 },
        deadline_ms: 600_000,
    });
    client.send(Call::Interrupt);
    let mut answers = [client.response(), client.response()];
    answers.sort_by_key(|r| r.id);
    assert_eq!(
        (answers[0].id, answers[0].result.as_ref().unwrap_err().code),
        (hang, FailureCode::Interrupted)
    );
}

#[test]
fn a_long_request_reports_progress() {
    let daemon = daemon(World::new(12_000_000), LONG);
    let mut client = Client::open(&daemon);
    assert!(client.call(Call::Go { to: Target::End }).is_ok());
    assert!(!client.progress.is_empty());
    assert!(client.progress.iter().all(|(done, total)| done <= total));
    assert!(client.progress.windows(2).all(|w| w[0].0 <= w[1].0));
}

#[test]
fn each_of_two_clients_hears_of_the_progress_of_its_own_request() {
    let daemon = daemon(World::new(12_000_000), LONG);
    let [mut a, mut b, mut idle] = [(); 3].map(|()| Client::open(&daemon));
    let (first, second) = (a.send(Call::Go { to: Target::End }), b.send(Call::Go { to: Target::End }));
    for (client, id) in [(&mut a, first), (&mut b, second)] {
        let response = client.response();
        assert!(response.id == id && response.result.is_ok(), "{response:?}");
        assert!(!client.progress.is_empty());
        assert!(client.progress.iter().all(|(done, total)| done <= total));
        assert!(client.progress.windows(2).all(|w| w[0].0 <= w[1].0), "{:?}", client.progress);
    }
    assert!(matches!(idle.call(Call::When), Ok(Reply::Stopped(s)) if s.time == Time(1)));
    assert!(idle.progress.is_empty());
}

#[test]
fn a_client_that_goes_in_the_middle_ends_its_session() {
    let daemon = daemon(World::new(500_000_000), LONG);
    let mut client = Client::open(&daemon);
    client.send(Call::Go { to: Target::End });
    client.link.shut();
    wait_for("its processes end", || daemon.host.alive().is_empty());
}

#[test]
fn it_ends_when_idle_but_not_before() {
    let daemon = daemon(World::new(10), Duration::from_millis(50));
    let client = Client::open(&daemon);
    drop(client);
    wait_for("the idle daemon ends", || daemon.thread.is_finished());
    daemon.thread.join().unwrap();
    assert!(daemon.host.alive().is_empty());
    let _ = UnixStream::connect(&daemon.socket).map(|s| s.shutdown(Shutdown::Both));
}

impl Client {
    fn at(daemon: &Daemon, cursor: &str) -> (Client, Stop) {
        let mut client = Client::connect(daemon);
        let opened = client.call(Call::Open {
            trace: daemon.dir.path().to_str().unwrap().into(),
            cursor: Some(cursor.into()),
        });
        match opened {
            Ok(Reply::Opened(stop)) => (client, stop),
            other => panic!("{other:?}"),
        }
    }

    fn go(&mut self, time: u64) -> Stop {
        match self.call(Call::Go {
            to: Target::Time(Time(time)),
        }) {
            Ok(Reply::Stopped(stop)) => stop,
            other => panic!("{other:?}"),
        }
    }

    /// The news so far, and those that come until there is one.
    fn hears(&mut self) -> Vec<Notification> {
        while self.news.is_empty() {
            match self.link.receive(soon()).unwrap() {
                FromDaemon::Notification(Notification::Progress { .. }) => {}
                FromDaemon::Notification(news) => self.news.push(news),
                other @ FromDaemon::Response(_) => panic!("{other:?}"),
            }
        }
        std::mem::take(&mut self.news)
    }
}

#[test]
fn a_named_cursor_is_one_for_all_who_name_it() {
    let daemon = daemon(World::new(1000), LONG);
    let (mut a, _) = Client::at(&daemon, "ours");
    let moved = a.go(500);
    let (mut b, stop) = Client::at(&daemon, "ours");
    assert_eq!(stop.time, Time(500), "it stays where it is");
    let (mut c, stop) = Client::at(&daemon, "theirs");
    assert_eq!(stop.time, Time(1));
    assert!(a.news.is_empty() && moved.time == Time(500));
    let moved = b.go(700);
    assert_eq!(a.hears(), [Notification::Stopped(moved)]);
    assert!(matches!(a.call(Call::When), Ok(Reply::Stopped(s)) if s.time == Time(700)));
    assert!(matches!(c.call(Call::When), Ok(Reply::Stopped(s)) if s.time == Time(1)));
    assert!(a.news.is_empty() && b.news.is_empty() && c.news.is_empty(), "a look moves nothing");
    drop((a, b));
    wait_for("it ends with the last who names it", || {
        let (d, stop) = Client::at(&daemon, "ours");
        drop(d);
        stop.time == Time(1)
    });
    let mut e = Client::connect(&daemon);
    let trace = daemon.dir.path().to_str().unwrap().to_string();
    let failure = e.call(Call::Open {
        trace,
        cursor: Some("a b".into()),
    });
    assert!(failure.unwrap_err().text.starts_with("'a b' cannot name a cursor: letters"));
}

fn query(of: QueryOf) -> Call {
    Call::Query(Query {
        of,
        from: None,
        to: None,
        limit: None,
        exact: false,
        limits: rdb_protocol::Limits::default(),
    })
}

fn every_exception() -> Call {
    query(QueryOf::Raises { class: None })
}

fn every_call(name: &str) -> Call {
    query(QueryOf::Calls { name: name.to_string() })
}

#[test]
fn a_query_is_its_session_s_and_moves_nothing() {
    let daemon = daemon(World::new(1000), LONG);
    let ((mut a, _), (mut b, _)) = (Client::at(&daemon, "ours"), Client::at(&daemon, "ours"));
    a.go(500);
    b.hears();
    for asked in [every_call("f1"), every_exception()] {
        let rows = a.call(asked);
        assert!(matches!(&rows, Ok(Reply::Rows(some)) if some.done), "{rows:?}");
        for client in [&mut a, &mut b] {
            let failure = client.call(Call::MoreRows).unwrap_err();
            assert_eq!((failure.code, &failure.text[..]), (FailureCode::Protocol, "no query is under way"));
        }
    }
    assert!(matches!(b.call(Call::When), Ok(Reply::Stopped(s)) if s.time == Time(500)));
    assert!(a.news.is_empty() && b.news.is_empty());
    drop((a, b));
    wait_for("its processes end", || daemon.host.alive().is_empty());
}

#[test]
fn a_query_under_way_holds_up_nobody_at_its_cursor() {
    const LAST: u64 = 500_000_000;
    let daemon = daemon(World::new(LAST), LONG);
    // What functions there are is known: to find that out takes as long as the query.
    let facts = TraceFacts::read(daemon.dir.path()).unwrap();
    let found = Found {
        index: crate::index::Index::default(),
        last: Time(LAST),
        main_done: None,
        interpreter: Interpreter::Unknown,
        sources: vec![SourceFile {
            file: "src/prog.py".into(),
            lines: vec![1],
            functions: vec![("f1".into(), 1)],
        }],
        costs: Costs::default(),
    };
    survey_file::save(&facts.path, facts.key, &found).unwrap();
    let ((mut a, _), (mut b, _)) = (Client::at(&daemon, "ours"), Client::at(&daemon, "ours"));
    let rows = a.send(every_call("f1"));
    assert_eq!(b.go(900).time, Time(900), "while the rows are looked for");
    assert_eq!(b.go(90).time, Time(90));
    a.send(Call::Interrupt);
    let mut answers = [a.response(), a.response()];
    answers.sort_by_key(|r| r.id);
    assert_eq!(
        (answers[0].id, answers[0].result.as_ref().unwrap_err().code),
        (rows, FailureCode::Interrupted)
    );
    assert_eq!(a.call(Call::MoreRows).unwrap_err().code, FailureCode::Protocol, "it is over");
    // One whose client goes is over likewise.
    a.send(every_call("f1"));
    drop((a, b));
    wait_for("its processes end", || daemon.host.alive().is_empty());
}

#[test]
fn one_waits_for_a_shared_cursor_and_can_be_interrupted_at_that() {
    let daemon = daemon(World::new(500_000_000), LONG);
    let ((mut a, _), (mut b, _)) = (Client::at(&daemon, "ours"), Client::at(&daemon, "ours"));
    let mut free = Client::open(&daemon);
    a.send(Call::Go { to: Target::End });
    assert_eq!(free.go(900).time, Time(900), "another cursor moves meanwhile");
    let waiting = b.send(Call::Step {
        count: 1,
        direction: Direction::Forward,
    });
    b.send(Call::Interrupt);
    let mut answers = [b.response(), b.response()];
    answers.sort_by_key(|r| r.id);
    assert_eq!(
        (answers[0].id, answers[0].result.as_ref().unwrap_err().code),
        (waiting, FailureCode::Interrupted)
    );
    // A query waits likewise to begin, but its rows have nothing to do with the cursor.
    let waiting = b.send(every_exception());
    b.send(Call::Interrupt);
    let mut answers = [b.response(), b.response()];
    answers.sort_by_key(|r| r.id);
    assert_eq!(
        (answers[0].id, answers[0].result.as_ref().unwrap_err().code),
        (waiting, FailureCode::Interrupted)
    );
    assert_eq!(b.call(Call::MoreRows).unwrap_err().code, FailureCode::Protocol, "it has not begun");
    // The one at work goes; the other takes over.
    a.link.shut();
    assert!(matches!(b.call(Call::Step { count: 1, direction: Direction::Forward }), Ok(Reply::Stopped(s)) if s.time == Time(2)));
}

#[test]
fn kept_breakpoints_are_shared_and_others_are_not() {
    let daemon = daemon(World::new(1000), LONG);
    let [mut a, mut b, mut alone] = [(); 3].map(|()| Client::open(&daemon));
    let set = |client: &mut Client, line: u32| {
        let place = BreakpointPlace::Line { file: String::new(), line };
        match client.call(plain(place)) {
            Ok(Reply::Breakpoints(new)) => new[0].id,
            other => panic!("{other:?}"),
        }
    };
    let ids = |client: &mut Client| match client.call(Call::Breakpoints) {
        Ok(Reply::Breakpoints(all)) => all.iter().map(|b| b.id).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((set(&mut a, 3), set(&mut b, 4), set(&mut alone, 5)), (1, 1, 1));
    assert!(a.call(Call::KeepBreakpoints).is_ok() && b.call(Call::KeepBreakpoints).is_ok());
    assert!(matches!(&a.hears()[..], [Notification::Breakpoints(all)] if all.len() == 2));
    assert_eq!((ids(&mut a), ids(&mut b), ids(&mut alone)), (vec![1, 2], vec![1, 2], vec![1]));
    assert_eq!(set(&mut a, 6), 3);
    assert!(matches!(&b.hears()[..], [Notification::Breakpoints(all)] if all.len() == 3));
    assert!(a.call(Call::Delete { id: Some(3) }).is_ok());
    let failure = b.call(Call::Delete { id: Some(3) }).unwrap_err();
    assert_eq!(
        failure.text,
        "there is no breakpoint 3 any more: it was deleted before, maybe by another client"
    );
    assert_eq!(b.call(Call::Delete { id: Some(4) }).unwrap_err().text, "there is no breakpoint 4");
    assert!(matches!(&b.hears()[..], [Notification::Breakpoints(all)] if all.len() == 2));
    assert!(a.news.is_empty(), "what failed changes nothing");
    let bookmark = |name: &str| Call::Bookmark {
        name: name.into(),
        time: Some(Time(7)),
    };
    assert!(b.call(bookmark("here")).is_ok());
    for client in [&mut a, &mut alone] {
        assert!(matches!(&client.hears()[..], [Notification::Bookmarks(all)] if all[0].name == "here"));
    }
}

#[test]
fn who_does_not_read_is_told_the_latest() {
    let daemon = daemon(World::new(1000), LONG);
    let ((mut a, _), (mut b, _)) = (Client::at(&daemon, "ours"), Client::at(&daemon, "ours"));
    // More than fits into a socket.
    for time in (1..=1000).chain(1..=1000).chain([77]) {
        b.go(time);
    }
    assert!(matches!(a.call(Call::When), Ok(Reply::Stopped(s)) if s.time == Time(77)));
    let told: Vec<u64> = a
        .hears()
        .iter()
        .map(|n| match n {
            Notification::Stopped(s) => s.time.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(
        told.len() < 2000 && told.last() == Some(&77) && told.starts_with(&[1, 2, 3]),
        "{} told",
        told.len()
    );
}

#[test]
fn all_at_one_cursor_hear_of_its_moves_in_their_order() {
    let daemon = daemon(World::new(10_000), LONG);
    let ((a, _), (b, _)) = (Client::at(&daemon, "ours"), Client::at(&daemon, "ours"));
    let walk = |mut client: Client| {
        let mut times = Vec::new();
        for _ in 0..300 {
            let stepped = client.call(Call::Step {
                count: 1,
                direction: Direction::Forward,
            });
            let heard = std::mem::take(&mut client.news).into_iter().map(|n| match n {
                Notification::Stopped(stop) => stop,
                other => panic!("{other:?}"),
            });
            times.extend(heard.map(|s| s.time));
            match stepped {
                Ok(Reply::Stopped(stop)) => times.push(stop.time),
                other => panic!("{other:?}"),
            }
        }
        assert!(times.windows(2).all(|t| t[0] < t[1]), "{times:?}");
        (client, times)
    };
    let ((mut a, seen), (mut b, also)) = std::thread::scope(|scope| {
        let (a, b) = (scope.spawn(|| walk(a)), scope.spawn(|| walk(b)));
        (a.join().unwrap(), b.join().unwrap())
    });
    assert!(seen.last() == Some(&Time(601)) || also.last() == Some(&Time(601)));
    for client in [&mut a, &mut b] {
        assert!(matches!(client.call(Call::When), Ok(Reply::Stopped(s)) if s.time == Time(601)));
    }
}
