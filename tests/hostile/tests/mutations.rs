//! Bytes that are nearly right, always the same ones: a fuzzer's work for a minute, on stable Rust.

use rdb_hostile::{archive, client_link, events, guarded, header, log, packed, readings, replay_link};
use rdb_protocol::frame::encode;
use rdb_protocol::replay::{Answer, Hits, Order, Raises, Run};
use rdb_protocol::{BreakpointPlace, EventIndex, Time, client};
use rdb_trace::event::Fixed;
use rdb_trace::header::HEADER_SIZE;
use rdb_trace::memory::add;
use rdb_trace::{Cpu, End, Header, Kind, Origin, Tag, Writer};

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % (n.max(1) as u64)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// A few changes of the kinds that readers get wrong.
    fn change(&mut self, of: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = of[self.below(of.len())].clone();
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(16)).min(bytes.len());
            match self.below(8) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = self.byte(),
                2 => bytes.truncate(at),
                // The largest numbers, as words and as varints.
                3 => bytes[at..end].fill(0xff),
                4 => bytes[at..end].fill([0, 0x80, 0x7f][self.below(3)]),
                5 => drop(bytes.drain(at..end)),
                6 => {
                    let twice = bytes[at..end].to_vec();
                    bytes.splice(at..at, twice);
                }
                _ => {
                    let other = &of[self.below(of.len())];
                    let from = self.below(other.len());
                    let to = (from + 1 + self.below(64)).min(other.len());
                    bytes.splice(at..end.min(bytes.len()), other[from..to].iter().copied());
                }
            }
        }
        bytes
    }
}

/// Feeds a reader with `count` changes of these; `seed` is all they hang on.
fn feed<T>(seed: u64, count: usize, of: &[Vec<u8>], mut reader: impl FnMut(&[u8]) -> T) {
    of.iter().for_each(|bytes| drop(reader(bytes)));
    let mut dice = Dice(seed);
    for _ in 0..count {
        reader(&dice.change(of));
    }
}

fn fixed(i: usize) -> Fixed {
    Fixed {
        kind: if i % 5 == 3 { Kind::Complete } else { Kind::Syscall },
        flags: 0,
        thread: u16::try_from(i % 3).unwrap(),
        nr: u32::try_from(i % 7).unwrap(),
        ret: if i.is_multiple_of(4) { 24 } else { -2 },
        rip: 0x1000_0000_1234 + 77 * (i as u64 % 11),
        rsp: 0x2fff_ffff_e000,
        args: [3, 0x1100_0000_0040, i as u64, 0, 1, u64::MAX],
        registers: u32::try_from(i).unwrap(),
    }
}

/// A log as a killed recorder leaves it: sealed chunks, an open one, no end.
fn a_log(count: usize) -> Vec<u8> {
    let page = Header::page(&Origin::default(), 100, 7, &Cpu::default()).to_vec();
    let Ok(mut writer) = Writer::new(page);
    for i in 0..count {
        let words = (i as u64).to_le_bytes();
        let payload = vec![u8::try_from(i % 251).unwrap(); i % 900];
        let effects: [(u64, &[u8]); 3] = [
            (0x1100_0000_0040, &words),
            (Tag::Path as u64, b"/usr/lib/libc.so.6"),
            (0x5000, &payload),
        ];
        let Ok(()) = add(&mut writer, &fixed(i), &effects[..i % 4]);
    }
    writer.room().clone()
}

/// The raw bytes of a log's open chunk.
fn open_chunk(log: &[u8]) -> Vec<u8> {
    let progress = Header::read(log, log.len() as u64).unwrap().progress;
    let at = usize::try_from(progress.open_at()).unwrap();
    log[at..at + usize::from(progress.open)].to_vec()
}

#[test]
fn logs() {
    let whole = [
        a_log(40),
        a_log(2000),
        rdb_trace::memory::log(7, End::Exited(0), &[&[(fixed(1), &[])], &[]]),
    ];
    assert!(log(&whole[1]) == 2000 && log(&whole[0]) == 40);
    feed(1, 20_000, &whole[..1], log);
    feed(2, 4_000, &whole, log);
    let pages: Vec<Vec<u8>> = whole.iter().map(|w| w[..HEADER_SIZE].to_vec()).collect();
    feed(3, 50_000, &pages, header);
}

#[test]
fn streams_of_events() {
    let streams: Vec<Vec<u8>> = [30, 60, 100].map(|n| open_chunk(&a_log(n))).to_vec();
    assert!(events(&streams[0]) == 30 && !guarded(&[]).is_empty());
    feed(4, 100_000, &streams, events);
    feed(
        5,
        50_000,
        &[vec![0x81, 1, 2, 3, 4, 5, 6, 7, 8], vec![3; 40], vec![0xff; 40]],
        readings,
    );
}

#[test]
fn frames_of_the_client_link() {
    let place = BreakpointPlace::Line {
        file: "a.py".into(),
        line: 7,
    };
    let request = |call| encode(&client::Request { id: 9, call }).unwrap();
    let response = |result| encode(&client::FromDaemon::Response(client::Response { id: 9, result })).unwrap();
    let frames = [
        encode(&client::Hello {
            magic: client::MAGIC,
            version: client::VERSION,
        })
        .unwrap(),
        encode(&client::Welcome { version: 1, pid: 2 }).unwrap(),
        request(client::Call::Break {
            place: place.clone(),
            condition: Some("n > 3".into()),
            temporary: true,
            action: None,
        }),
        request(client::Call::Skip {
            patterns: vec!["a".into(), "b*".into()],
        }),
        response(Ok(client::Reply::Breakpoints(vec![client::BreakpointInfo::new(place)]))),
        response(Err(client::Failure {
            code: client::FailureCode::Invalid,
            text: "no".into(),
        })),
        encode(&client::FromDaemon::Notification(client::Notification::Progress {
            done: 1,
            total: 2,
        }))
        .unwrap(),
    ];
    feed(6, 200_000, &frames, client_link);
}

#[test]
fn frames_of_the_replay_link() {
    let run = Run {
        until_time: Some(Time(77)),
        until_event: Some(EventIndex(1 << 40)),
        hits: Hits::Last,
    };
    let raises = Raises {
        told: vec![("KeyError: 1".into(), 0)],
        sites: vec![("a.py".into(), 3, "f".into())],
        classes: vec![vec!["KeyError".into(), "LookupError".into()]],
        codes: vec![1, 2, u64::MAX],
        ..Raises::default()
    };
    let frames = [
        encode(&Order::Run(run)).unwrap(),
        encode(&Order::Evaluate {
            source: "x".into(),
            frame: rdb_protocol::FrameNumber { thread: None, number: 0 },
            bound: vec![("a".into(), 7)],
        })
        .unwrap(),
        encode(&Answer::Raises(raises)).unwrap(),
        encode(&Answer::Failed { reason: "no".into() }).unwrap(),
        encode(&Answer::Stack(vec![None, Some("1".into())])).unwrap(),
    ];
    feed(7, 200_000, &frames, replay_link);
}

#[test]
fn packed_traces() {
    let files: [(&str, Vec<u8>); 3] = [
        ("events", a_log(40)),
        ("files/0", b"content".to_vec()),
        ("processes/1/events", a_log(3)),
    ];
    let size: usize = files.iter().map(|f| f.1.len()).sum();
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, path, bytes).unwrap();
    };
    add("rdb-pack", format!("rdb-pack 1\n{size}\n").as_bytes());
    files.iter().for_each(|(path, bytes)| add(path, bytes));
    let tar = tar.into_inner().unwrap();
    assert!(archive(&tar), "it is a packed trace before it is changed");
    // What lies in a header is where most can be got wrong.
    let mut dice = Dice(8);
    for _ in 0..1500 {
        let mut bytes = dice.change(std::slice::from_ref(&tar));
        if dice.below(2) == 0 && bytes.len() > 1024 {
            let at = 512 * dice.below(3) + dice.below(512);
            bytes[at] = dice.byte();
            let sum: u32 = (0..512)
                .map(|i| if (148..156).contains(&i) { 32 } else { u32::from(bytes[i]) })
                .sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        archive(&bytes);
    }
    let whole = zstd_of(&tar);
    feed(9, 1500, &[whole], packed);
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// A log of a few thousand bytes can hold an event of millions of effects. It is read in one go, and there is an end to what is believed.
#[test]
fn an_event_of_very_many_effects() {
    for (count, events) in [(2_000_000, 1), (5_000_000, 0)] {
        let page = Header::page(&Origin::default(), 0, 7, &Cpu::default()).to_vec();
        let Ok(mut writer) = Writer::new(page);
        let effects: Vec<(u64, &[u8])> = (0..count).map(|_| (Tag::Path as u64, &b""[..])).collect();
        let Ok(()) = add(&mut writer, &fixed(0), &effects);
        writer.close();
        assert_eq!(log(writer.room()), events);
    }
}
