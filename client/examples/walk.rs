//! Walks through a recording from a program: the last lines a program passed before it was done, the latest first.
//!
//! `cargo run --release --example walk -p rdb-client -- TRACE`

use rdb_client::link::{Launcher, Session};
use rdb_client::paths::Places;
use rdb_protocol::Direction;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let trace = std::env::args().nth(1).ok_or("expected a trace: walk TRACE")?;
    let places = Places::from_env();
    let trace = places.trace(Path::new(&trace))?;
    // Starts the daemon if none runs. The session outlives a daemon that dies.
    let launcher = Launcher::from_env(places.socket);
    let (mut session, _) = Session::open(launcher, trace.display().to_string(), true)?;
    let mut stop = session.travel(|c| c.continue_(1, Direction::Forward))?;
    for _ in 0..5 {
        if let Some(at) = &stop.location {
            println!("{:>8}  {}:{} in {}", stop.time, at.file, at.line, at.function);
        }
        stop = session.travel(|c| c.next(1, Direction::Backward))?;
    }
    let frames = session.call(|c| c.backtrace(None, 10))?;
    println!("{} frames on the stack at time {}", frames.len(), stop.time);
    Ok(())
}
