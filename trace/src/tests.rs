//! Writer and reader together: everything comes back, whatever happens to the writer or the file.

extern crate std;

use crate::chunk::RAW;
use crate::event::{Fixed, Kind, Tag};
use crate::header::{End, HEADER_SIZE, Header, offset};
use crate::memory::{add, log};
use crate::reader::{Opened, Reader};
use crate::writer::Writer;
use crate::{Cpu, Origin, RecordError};
use std::vec;
use std::vec::Vec;

type Told = (Fixed, Vec<(u64, Vec<u8>)>);

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Events as programs make them: a few sites in a few threads, addresses, clocks, payload; and now and then anything.
fn some_events(count: usize, seed: u64) -> Vec<Told> {
    let mut d = Dice(seed | 1);
    let mut clock = 1_795_256_100_000_000_000_u64;
    (0..count)
        .map(|i| {
            let site = d.below(12);
            clock += d.below(5000);
            let mut e = Fixed {
                kind: if site == 3 { Kind::Complete } else { Kind::Syscall },
                flags: 0,
                thread: (site % 3) as u16,
                nr: (site * 7) as u32,
                ret: (d.below(3) * 4096) as i64 - 2,
                rip: 0x1000_0000_1234 + site * 77,
                rsp: 0x2fff_ffff_e000 - d.below(2) * 64,
                args: [3, 0x1100_0000_0040, d.below(300), 0, i as u64, u64::MAX],
                registers: d.below(1 << 32) as u32,
            };
            let mut effects = Vec::new();
            match d.below(8) {
                0 => {
                    e.ret = 100;
                    effects.push((e.args[1], vec![i as u8; 100]));
                }
                1 => effects.push((
                    e.args[1],
                    [clock / 1_000_000_000, clock % 1_000_000_000].map(u64::to_le_bytes).concat(),
                )),
                2 => {
                    effects.push((Tag::File as u64, (i as u64).to_le_bytes().to_vec()));
                    effects.push((Tag::Path as u64, b"/usr/lib/libc.so.6".to_vec()));
                    effects.push((0x1234_5678, d.below(u64::MAX).to_le_bytes().to_vec()));
                    effects.push((0x1234_9999, Vec::new()));
                }
                3 => effects.push((d.below(1 << 46) + 4096, (0..d.below(40)).map(|_| d.below(256) as u8).collect())),
                4 if i % 97 == 0 => effects.push((e.args[1], (0..3 * RAW + 5).map(|_| d.below(256) as u8).collect())),
                5 => {
                    e = Fixed {
                        kind: Kind::Tick,
                        flags: d.below(256) as u8,
                        thread: d.below(1 << 16) as u16,
                        nr: d.below(1 << 32) as u32,
                        ret: d.below(u64::MAX).cast_signed(),
                        rip: d.below(u64::MAX),
                        rsp: d.below(u64::MAX),
                        args: core::array::from_fn(|_| d.below(u64::MAX)),
                        registers: 0,
                    }
                }
                _ => {}
            }
            (e, effects)
        })
        .collect()
}

fn write(w: &mut Writer<Vec<u8>>, (fixed, effects): &Told) {
    let effects: Vec<(u64, &[u8])> = effects.iter().map(|(t, b)| (*t, b.as_slice())).collect();
    let Ok(()) = add(w, fixed, &effects);
}

fn writer() -> Writer<Vec<u8>> {
    let Ok(w) = Writer::new(Header::page(&Origin::default(), 0, 0, &Cpu::default()).to_vec());
    w
}

fn reader(log: &[u8]) -> Reader<&[u8]> {
    let opened = Opened::new(log.len() as u64, |at, to| {
        let bytes = log.get(at as usize..).and_then(|b| b.get(..to.len()));
        to.copy_from_slice(bytes.ok_or(5)?);
        Ok(())
    });
    Reader::new(opened.unwrap(), log)
}

fn read(log: &[u8]) -> (Vec<Told>, Option<RecordError>) {
    let mut r = reader(log);
    let mut all = Vec::new();
    loop {
        match r.next() {
            Ok(Some(e)) => all.push((e.fixed, e.effects().map(|e| (e.target, e.bytes.to_vec())).collect())),
            Ok(None) => return (all, None),
            Err(e) => return (all, Some(e)),
        }
    }
}

#[test]
fn everything_comes_back_open_and_sealed() {
    for seed in 1..6 {
        let events = some_events(5000, seed);
        let mut w = writer();
        for e in &events {
            write(&mut w, e);
        }
        let file = w.room().clone();
        let (back, error) = read(&file);
        assert!(
            back == events && error.is_none(),
            "open, seed {seed}, {error:?}, {} events",
            back.len()
        );
        let size = w.close();
        let sealed = &w.room()[..size as usize];
        assert!(sealed.len() < file.len());
        let (back, error) = read(sealed);
        assert!(back == events && error.is_none(), "sealed, seed {seed}, {error:?}");
    }
}

#[test]
fn peeking_does_not_pass() {
    let events = some_events(50, 3);
    let mut w = writer();
    events.iter().for_each(|e| write(&mut w, e));
    let file = w.room().clone();
    let mut r = reader(&file);
    for (i, e) in events.iter().enumerate() {
        assert_eq!(r.peek().unwrap().unwrap().fixed, e.0);
        assert_eq!((r.peek().unwrap().unwrap().fixed, r.index()), (e.0, i as u64));
        assert_eq!(r.next().unwrap().unwrap().fixed, e.0);
    }
    assert!(r.peek().unwrap().is_none() && r.next().unwrap().is_none());
}

/// A file that remembers what it was after every store of a header word: what a recorder killed there leaves.
struct Killed {
    file: Vec<u8>,
    left: Vec<(Vec<u8>, u64)>,
    whole: u64,
}

impl crate::Room for Killed {
    type Error = core::convert::Infallible;
    fn extend_to(&mut self, end: u64) -> Result<(), Self::Error> {
        self.file.extend_to(end)
    }
    fn bytes(&mut self, at: u64, len: usize) -> &mut [u8] {
        self.file.bytes(at, len)
    }
    fn store(&mut self, at: usize, word: u64) {
        // Before and after.
        self.left.push((self.file.clone(), self.whole));
        self.file.store(at, word);
        if at == offset::EVENTS {
            self.whole = word;
        }
        self.left.push((self.file.clone(), self.whole));
    }
}

#[test]
fn wherever_the_writer_is_killed_whole_events_are_there() {
    let events = some_events(260, 11);
    let room = Killed {
        file: Header::page(&Origin::default(), 0, 0, &Cpu::default()).to_vec(),
        left: Vec::new(),
        whole: 0,
    };
    let Ok(mut w) = Writer::new(room);
    for (fixed, effects) in &events {
        let effects: Vec<(u64, &[u8])> = effects.iter().map(|(t, b)| (*t, b.as_slice())).collect();
        let Ok(()) = add(&mut w, fixed, &effects);
    }
    w.close();
    assert!(w.room().left.len() > 1000);
    for (n, (file, whole)) in w.room().left.iter().enumerate() {
        let (back, error) = read(file);
        assert_eq!(error, None, "store {n}");
        assert!(
            back.len() as u64 == *whole || back.len() as u64 == whole + 1,
            "store {n}: {}",
            back.len()
        );
        assert!(back == events[..back.len()], "store {n}");
    }
}

#[test]
fn any_flipped_bit_is_an_error() {
    let events = some_events(40, 5);
    let mut w = writer();
    events.iter().for_each(|e| write(&mut w, e));
    let size = w.close() as usize;
    let file = w.room()[..size].to_vec();
    for bit in HEADER_SIZE * 8..size * 8 {
        let mut bad = file.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&bad).1.is_some(), "bit {bit} passed");
    }
}

#[test]
fn any_truncation_gives_whole_events() {
    let events = some_events(2000, 7);
    let mut w = writer();
    events.iter().for_each(|e| write(&mut w, e));
    let size = w.close() as usize;
    let file = w.room()[..size].to_vec();
    let mut most = 0;
    for n in (HEADER_SIZE..size).step_by(97) {
        let (back, error) = read(&file[..n]);
        assert!(error.is_none() && back == events[..back.len()], "{n}: {error:?}");
        assert!(back.len() >= most, "{n}");
        most = back.len();
    }
    assert!(most > 0);
}

#[test]
fn a_damaged_open_chunk_never_panics() {
    let events = some_events(300, 9);
    let mut w = writer();
    events.iter().for_each(|e| write(&mut w, e));
    let file = w.room().clone();
    let mut d = Dice(77);
    for _ in 0..2000 {
        let mut bad = file.clone();
        for _ in 0..3 {
            let at = HEADER_SIZE + d.below((bad.len() - HEADER_SIZE) as u64) as usize;
            bad[at] = d.below(256) as u8;
        }
        let _ = read(&bad);
    }
}

#[test]
fn a_common_event_takes_about_ten_bytes() {
    let mut w = writer();
    let mut d = Dice(5);
    let mut clock = 1_000_000_000;
    for _ in 0..20_000 {
        clock += 300 + d.below(500);
        let e = Fixed {
            kind: Kind::Syscall,
            flags: 0,
            thread: 0,
            nr: 228,
            ret: 0,
            rip: 0x1000_0000_1234,
            rsp: 0x2fff_ffff_e000,
            args: [0, 0x2fff_ffff_e010, 0, 0, 0, 0],
            registers: d.below(1 << 32) as u32,
        };
        write(&mut w, &(e, vec![(e.args[1], [5u64, clock].map(u64::to_le_bytes).concat())]));
    }
    let bytes = (w.close() - HEADER_SIZE as u64) as f64 / 20_000.0;
    assert!(bytes < 10.5, "{bytes} bytes an event");
}

#[test]
fn a_log_in_memory_has_its_chunks() {
    let e = some_events(1, 1)[0].0;
    let one: &[crate::memory::Entry<'_>] = &[(e, &[(5, b"one")])];
    let file = log(9, End::Exited(3), &[one, one]);
    let h = Header::read(&file, file.len() as u64).unwrap();
    assert_eq!((h.started, h.end, h.events, h.torn()), (9, End::Exited(3), 2, false));
    assert_eq!(read(&file).0.len(), 2);
}
