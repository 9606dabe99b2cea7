//! Forged traces: logs that are sound to the last checksum, and say what no recording says. Whatever they ask for, the replay is contained and
//! ends with one line.

use super::damage::{recorded, told};
use super::support::{Sandbox, text};
use super::travel::Dice;
use rdb_trace::event::Fixed;
use rdb_trace::{EVENTS_FILE, HEADER_SIZE, Kind, Opened, Reader, Room, Tag, Writer};
use std::fs;
use std::path::Path;

/// Where programs end, and the agent begins (`agent/src/layout.rs`).
const PROGRAM_END: u64 = 0x4000_0000_0000;
const IMAGE: u64 = 0x6000_0000_0000;

#[derive(Clone, Debug)]
struct Told {
    fixed: Fixed,
    effects: Vec<(u64, Vec<u8>)>,
}

/// A log in memory.
struct Memory(Vec<u8>);

impl Room for Memory {
    type Error = ();
    fn extend_to(&mut self, end: u64) -> Result<(), ()> {
        let end = usize::try_from(end).unwrap();
        self.0.resize(end.max(self.0.len()), 0);
        Ok(())
    }
    fn bytes(&mut self, at: u64, len: usize) -> &mut [u8] {
        let at = usize::try_from(at).unwrap();
        &mut self.0[at..at + len]
    }
    fn store(&mut self, at: usize, word: u64) {
        self.0[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
}

/// All events of a log.
fn events(log: &[u8]) -> Vec<Told> {
    let read = |at: u64, to: &mut [u8]| {
        let at = usize::try_from(at).unwrap();
        to.copy_from_slice(&log[at..at + to.len()]);
        Ok(())
    };
    let opened = Opened::new(log.len() as u64, read).unwrap();
    let mut reader = Reader::new(opened, log);
    let mut all = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        all.push(Told {
            fixed: event.fixed,
            effects: event.effects().map(|e| (e.target, e.bytes.to_vec())).collect(),
        });
    }
    all
}

/// A log that holds these events, with the header of another.
fn log(like: &[u8], events: &[Told]) -> Vec<u8> {
    let mut writer = Writer::new(Memory(Vec::new())).unwrap();
    writer.room().0[..HEADER_SIZE].copy_from_slice(&like[..HEADER_SIZE]);
    for event in events {
        writer.event(&event.fixed, !event.effects.is_empty()).unwrap();
        for (n, (target, bytes)) in event.effects.iter().enumerate() {
            writer
                .effect(*target, bytes.len() as u64, n + 1 == event.effects.len(), |from, to| {
                    let from = usize::try_from(from).unwrap();
                    to.copy_from_slice(&bytes[from..from + to.len()]);
                })
                .unwrap();
        }
        writer.commit();
    }
    let size = usize::try_from(writer.close()).unwrap();
    let mut bytes = std::mem::take(&mut writer.room().0);
    bytes.truncate(size);
    bytes
}

/// Puts a log in a trace's place: not in the store's, which the trace's is a link to.
fn put(trace: &Path, bytes: &[u8]) {
    let path = trace.join(EVENTS_FILE);
    fs::remove_file(&path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The first event that fits.
fn find(events: &mut [Told], fits: impl Fn(&Told) -> bool) -> &mut Told {
    events.iter_mut().find(|e| fits(e)).expect("the recording has such an event")
}

fn is_call(event: &Told, number: u32) -> bool {
    event.fixed.kind == Kind::Syscall && event.fixed.nr == number && event.fixed.ret >= 0
}

const READ: u32 = 0;
const MMAP: u32 = 9;
const MPROTECT: u32 = 10;
const BRK: u32 = 12;

#[test]
fn what_no_recording_says_is_refused() {
    let sandbox = Sandbox::new();
    let trace = recorded(&sandbox);
    let whole = fs::read(trace.join(EVENTS_FILE)).unwrap();
    let truth = events(&whole);
    put(&trace, &log(&whole, &truth));
    assert_eq!(told(&sandbox, "verify", &trace, "written again"), Some(0));

    let to = |target: u64| {
        move |events: &mut Vec<Told>| {
            let read = find(events, |e| is_call(e, READ) && e.effects.iter().any(|e| e.0 >= 4096));
            read.effects.last_mut().unwrap().0 = target;
        }
    };
    let mapped = |change: fn(&mut Fixed)| {
        move |events: &mut Vec<Told>| change(&mut find(events, |e| is_call(e, MMAP) && e.fixed.args[0] == 0).fixed)
    };
    type Change = Box<dyn Fn(&mut Vec<Told>)>;
    let outside = "writes to memory that is not the program's";
    let forgeries: Vec<(&str, Change, &str)> = vec![
        ("bytes for the agent's code", Box::new(to(IMAGE + 0x2_0000)), outside),
        ("bytes for the kernel's half", Box::new(to(u64::MAX - 4095)), outside),
        (
            "bytes for the end of the program's addresses",
            Box::new(to(PROGRAM_END - 1)),
            outside,
        ),
        (
            "a mapping upon the agent",
            Box::new(mapped(|f| f.ret = IMAGE.cast_signed())),
            "damaged",
        ),
        ("a mapping at an odd place", Box::new(mapped(|f| f.ret += 1)), "cannot map"),
        (
            "an event by a thread there is not",
            Box::new(|all| all[20].fixed.thread = 900),
            "damaged",
        ),
        (
            "a file there is not",
            Box::new(|all| {
                let event = find(all, |e| is_call(e, MMAP) && e.effects.iter().any(|e| e.0 == Tag::File as u64));
                event.effects.iter_mut().find(|e| e.0 == Tag::File as u64).unwrap().1 = u64::MAX.to_le_bytes().to_vec();
            }),
            "the trace lacks files/",
        ),
        (
            "a start without a program",
            Box::new(|all| all[0].effects.retain(|e| e.0 != Tag::File as u64)),
            "damaged",
        ),
        ("a start that is none", Box::new(|all| all[0].fixed.kind = Kind::Syscall), "damaged"),
        (
            "a break beyond all",
            Box::new(|all| find(all, |e| is_call(e, BRK)).fixed.ret = i64::MAX),
            "divergence at event",
        ),
        (
            "a call that is another",
            Box::new(|all| find(all, |e| is_call(e, MPROTECT)).fixed.nr = 59),
            "divergence at event",
        ),
        (
            "a moment that is none",
            Box::new(|all| {
                let mut event = all[20].clone();
                event.fixed.kind = Kind::Preempt;
                event.effects = vec![(Tag::State as u64, vec![0xff; 24])];
                all.insert(20, event);
            }),
            "damaged",
        ),
        (
            "a signal there is not",
            Box::new(|all| {
                let mut event = all[20].clone();
                event.fixed.kind = Kind::Signal;
                event.fixed.nr = u32::MAX;
                event.effects = vec![(Tag::SignalInfo as u64, vec![1; 3])];
                all.insert(20, event);
            }),
            "damaged",
        ),
    ];
    for (what, change, says) in forgeries {
        let mut forged = truth.clone();
        change(&mut forged);
        put(&trace, &log(&whole, &forged));
        let status = told(&sandbox, "verify", &trace, what);
        let said = text(&fs::read(sandbox.path("said")).unwrap());
        assert_ne!(status, Some(0), "{what}: {said}");
        assert!(said.contains(says), "{what}: {said}");
    }
}

/// Any number anywhere in it may be any other.
#[test]
fn numbers_at_random() {
    const FORGERIES: u64 = 150;
    let sandbox = Sandbox::new();
    let trace = recorded(&sandbox);
    let whole = fs::read(trace.join(EVENTS_FILE)).unwrap();
    let truth = events(&whole);
    let mut dice = Dice::new(11);
    let mut refused = 0;
    for n in 0..FORGERIES {
        let mut forged = truth.clone();
        let at = usize::try_from(dice.below(truth.len() as u64)).unwrap();
        let interesting = [
            0,
            1,
            4096,
            u64::from(u32::MAX),
            PROGRAM_END - 8,
            PROGRAM_END,
            IMAGE,
            1 << 47,
            1 << 63,
            u64::MAX,
            dice.below(u64::MAX),
            dice.below(1 << 20),
        ];
        let value = interesting[usize::try_from(dice.below(interesting.len() as u64)).unwrap()];
        let event = &mut forged[at];
        let field = dice.below(12);
        match field {
            0 => event.fixed.ret = value.cast_signed(),
            1 => event.fixed.nr = u32::try_from(value & 0x1ff).unwrap(),
            2 => event.fixed.thread = u16::try_from(value & 0xffff).unwrap(),
            3 => event.fixed.rip = value,
            4 => event.fixed.rsp = value,
            5 => event.fixed.flags = u8::try_from(value & 0xff).unwrap(),
            6 => event.fixed.args[usize::try_from(value % 6).unwrap()] = value,
            7 => event.effects.push((value.max(1), vec![0x5a; 64])),
            8 if !event.effects.is_empty() => {
                event.effects.remove(0);
            }
            9 if !event.effects.is_empty() => event.effects[0].0 = value.max(1),
            10 if !event.effects.is_empty() => event.effects[0].1 = value.to_le_bytes().to_vec(),
            _ => {
                forged.remove(at);
            }
        }
        put(&trace, &log(&whole, &forged));
        let what = format!("forgery {n}: event {at}, field {field}, {value:#x}");
        refused += u64::from(told(&sandbox, "verify", &trace, &what) != Some(0));
    }
    assert!(refused > FORGERIES / 2, "{refused}");
}
