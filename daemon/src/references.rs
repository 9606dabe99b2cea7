//! Numbered objects: what `$N` stands for, kept beside the trace.
//!
//! An object is its address and a time at which it is alive; more is learnt about its life as it is used. One line each: number,
//! address, block, function that ends it, its first bytes, first and last time it is known to be alive, last time before its birth, first time after its death.

use crate::fault::Fault;
use rdb_protocol::Time;
use rdb_protocol::client::FailureCode;
use rdb_protocol::replay::Object;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Name of the file.
const FILE: &str = "references";
/// Sessions of one trace share the file: numbers are given once.
static GIVING: Mutex<()> = Mutex::new(());

/// What is known of a numbered object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Its number.
    pub id: u32,
    /// What identifies it.
    pub object: Object,
    /// It is alive at these times and all between them.
    pub alive: (Time, Time),
    /// It is not there yet at this time.
    pub unborn: Time,
    /// It is not there any more at this time.
    pub dead: Option<Time>,
}

/// Whether an object is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is.
    Alive,
    /// It is created later.
    Unborn,
    /// It is gone, since this time as far as is known.
    Dead(Time),
}

impl Reference {
    /// Whether it is there at `time`; `None` when that is not known.
    pub(crate) fn presence(&self, time: Time) -> Option<Presence> {
        let (from, to) = self.alive;
        match self.dead {
            _ if (from..=to).contains(&time) => Some(Presence::Alive),
            _ if time <= self.unborn => Some(Presence::Unborn),
            Some(dead) if time >= dead => Some(Presence::Dead(dead)),
            _ => None,
        }
    }

    /// The error of code that uses an object that is not there.
    pub(crate) fn absence(&self, presence: Presence) -> Option<String> {
        let id = self.id;
        match presence {
            Presence::Alive => None,
            Presence::Unborn => Some(format!("RuntimeError: '${id}' refers to an object created later in time")),
            Presence::Dead(dead) => Some(format!(
                "RuntimeError: '${id}' refers to an object that does not exist any more (it was gone at time {dead})"
            )),
        }
    }

    fn line(&self) -> String {
        let Object {
            address,
            block,
            dealloc,
            dealloc_code,
        } = self.object;
        let dead = self.dead.map_or("-".to_string(), |d| d.to_string());
        format!(
            "{} {address:x} {block:x} {dealloc:x} {dealloc_code:x} {} {} {} {dead}\n",
            self.id, self.alive.0, self.alive.1, self.unborn
        )
    }

    fn parse(line: &str) -> Option<Reference> {
        let mut words = line.split(' ');
        let id = words.next()?.parse().ok()?;
        let mut hexadecimal = || u64::from_str_radix(words.next()?, 16).ok();
        let object = Object {
            address: hexadecimal()?,
            block: hexadecimal()?,
            dealloc: hexadecimal()?,
            dealloc_code: hexadecimal()?,
        };
        let mut time = || words.next()?.parse().ok().map(Time);
        let (alive, unborn) = ((time()?, time()?), time()?);
        let dead = match words.next()? {
            "-" => None,
            dead => Some(Time(dead.parse().ok()?)),
        };
        Some(Reference {
            id,
            object,
            alive,
            unborn,
            dead,
        })
    }
}

/// The numbered objects of a trace.
#[derive(Clone, Debug)]
pub(crate) struct References {
    trace: PathBuf,
}

impl References {
    /// Those kept in a trace directory.
    pub(crate) fn of(trace: &Path) -> References {
        References {
            trace: trace.to_path_buf(),
        }
    }

    /// All, by number. Lines that are none are passed over.
    pub(crate) fn all(&self) -> Result<Vec<Reference>, Fault> {
        match fs::read_to_string(self.trace.join(FILE)) {
            Ok(text) => Ok(text.lines().filter_map(Reference::parse).collect()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Fault::system("cannot read the numbers of objects")(e)),
        }
    }

    /// The one of this number.
    pub(crate) fn get(&self, id: u32) -> Result<Reference, Fault> {
        let found = self.all()?.into_iter().find(|r| r.id == id);
        found.ok_or_else(|| {
            Fault::told(
                FailureCode::Invalid,
                format!("there is no ${id}: print gives objects their numbers"),
            )
        })
    }

    /// Gives an object that is alive at `time` the next number.
    pub(crate) fn give(&self, object: Object, time: Time) -> Result<Reference, Fault> {
        let _giving = GIVING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all()?;
        let new = Reference {
            id: all.iter().map(|r| r.id + 1).max().unwrap_or(0),
            object,
            alive: (time, time),
            unborn: Time::BEGIN,
            dead: None,
        };
        all.push(new);
        self.save(&all)?;
        Ok(new)
    }

    /// Keeps what was learnt of one.
    pub(crate) fn learn(&self, known: Reference) -> Result<(), Fault> {
        let _giving = GIVING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all()?;
        all.iter_mut().filter(|r| r.id == known.id).for_each(|r| *r = known);
        self.save(&all)
    }

    fn save(&self, all: &[Reference]) -> Result<(), Fault> {
        let text: String = all.iter().map(Reference::line).collect();
        let new = self.trace.join(format!("{FILE}.{}.new", std::process::id()));
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, self.trace.join(FILE)));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.map_err(Fault::system("cannot keep the numbers of objects beside the trace"))
    }
}

/// The name a numbered object has in evaluated code.
pub(crate) fn name(id: u32) -> String {
    format!("__rdb_{id}")
}

/// Code with each `$N` replaced by a name, and the numbers. Strings and comments stay as they are, but for the expressions in
/// f-strings.
pub(crate) fn rewrite(source: &str) -> (String, Vec<u32>) {
    let mut rest = source;
    let (mut text, mut ids) = (String::new(), Vec::new());
    while let Some(c) = rest.chars().next() {
        match c {
            '$' => rest = reference(rest, &mut text, &mut ids),
            '#' => {
                let end = rest.find('\n').unwrap_or(rest.len());
                text.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '\'' | '"' => {
                let prefix = text.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                let formatted = prefix.len() < 3 && prefix.contains(['f', 'F']);
                rest = string(rest, formatted, &mut text, &mut ids);
            }
            c => {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    (text, ids)
}

/// Code with some names replaced, and the names, each once: those that are neither attributes nor keywords of a call, nor in strings.
pub(crate) fn substitute(source: &str, stands_for: &dyn Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let mut rest = source;
    let (mut text, mut used) = (String::new(), Vec::<String>::new());
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '\'' | '"' => {
                rest = string(rest, false, &mut text, &mut Vec::new());
                continue;
            }
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if c.is_alphanumeric() || c == '_' => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, behind) = rest.split_at(end);
        let next = behind.trim_start();
        let keyword = next.starts_with('=') && !next.starts_with("==");
        let prefix = next.starts_with(['\'', '"']) && next.len() == behind.len();
        let attribute = text.trim_end().ends_with(['.', '$']);
        match stands_for(word).filter(|_| !keyword && !prefix && !attribute) {
            Some(other) => {
                text.push_str(&other);
                if !used.iter().any(|u| u == word) {
                    used.push(word.to_string());
                }
            }
            None => text.push_str(word),
        }
        rest = behind;
    }
    (text, used)
}

/// `rest` begins with a `$`; gives what follows the reference, or the sign that is none.
fn reference<'a>(rest: &'a str, text: &mut String, ids: &mut Vec<u32>) -> &'a str {
    let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
    match rest[1..=digits].parse() {
        Ok(id) => {
            text.push_str(&name(id));
            ids.push(id);
            &rest[1 + digits..]
        }
        Err(_) => {
            text.push('$');
            &rest[1..]
        }
    }
}

/// `rest` begins with a quote; gives what follows the string.
fn string<'a>(rest: &'a str, formatted: bool, text: &mut String, ids: &mut Vec<u32>) -> &'a str {
    let triple = rest[..1].repeat(3);
    let quote = if rest.starts_with(&triple) { triple.as_str() } else { &rest[..1] };
    text.push_str(quote);
    let mut rest = &rest[quote.len()..];
    let mut depth = 0_u32;
    while let Some(c) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix(quote) {
            text.push_str(quote);
            return behind;
        }
        if c == '$' && formatted && depth > 0 {
            rest = reference(rest, text, ids);
            continue;
        }
        let doubled = depth == 0 && (rest.starts_with("{{") || rest.starts_with("}}"));
        match c {
            '{' if !doubled => depth += 1,
            '}' if !doubled => depth = depth.saturating_sub(1),
            _ => {}
        }
        let take = if doubled || c == '\\' { 2 } else { 1 };
        let end = rest.char_indices().nth(take).map_or(rest.len(), |(i, _)| i);
        text.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_in_code_alone() {
        let cases = [
            ("$0", "__rdb_0", vec![0]),
            ("$1 is $10 or $1", "__rdb_1 is __rdb_10 or __rdb_1", vec![1, 10]),
            ("'$0' + \"a\\\"$1\" # $2\n$3", "'$0' + \"a\\\"$1\" # $2\n__rdb_3", vec![3]),
            (
                "f'{$0} $1 {{$2}}' '''$4''$5''' $6",
                "f'{__rdb_0} $1 {{$2}}' '''$4''$5''' __rdb_6",
                vec![0, 6],
            ),
            ("$ $a $99999999999", "$ $a $99999999999", vec![]),
            ("'$0", "'$0", vec![]),
        ];
        for (source, text, ids) in cases {
            assert_eq!(rewrite(source), (text.to_string(), ids), "{source}");
        }
    }

    #[test]
    fn names_are_replaced_in_code_alone() {
        let known = |name: &str| ["a", "self"].contains(&name).then(|| format!("<{name}>"));
        let cases = [
            ("self.a + a", "<self>.a + <a>", vec!["self", "a"]),
            ("f(a=1, b=a) == 'a' # a", "f(a=1, b=<a>) == 'a' # a", vec!["a"]),
            ("a == b . a", "<a> == b . a", vec!["a"]),
            ("aa + $0.self", "aa + $0.self", vec![]),
        ];
        for (source, text, used) in cases {
            let used = used.into_iter().map(str::to_string).collect();
            assert_eq!(substitute(source, &known), (text.to_string(), used), "{source}");
        }
    }

    #[test]
    fn are_kept_and_learnt() {
        let dir = tempfile::tempdir().unwrap();
        let references = References::of(dir.path());
        let object = Object {
            address: 0x1234,
            block: 0x1224,
            dealloc: 7,
            dealloc_code: 8,
        };
        assert_eq!(references.all().unwrap(), []);
        let mut first = references.give(object, Time(9)).unwrap();
        assert_eq!(references.give(object, Time(12)).unwrap().id, 1);
        (first.alive, first.unborn, first.dead) = ((Time(5), Time(20)), Time(3), Some(Time(22)));
        references.learn(first).unwrap();
        let first = References::of(dir.path()).get(0).unwrap();
        let presences = [2, 3, 4, 5, 20, 21, 22, 99].map(|t| first.presence(Time(t)));
        let (unborn, alive, dead) = (Some(Presence::Unborn), Some(Presence::Alive), Some(Presence::Dead(Time(22))));
        assert_eq!(presences, [unborn, unborn, None, alive, alive, None, dead, dead]);
        assert!(references.get(7).unwrap_err().to_string().contains("there is no $7"));
        fs::write(dir.path().join(FILE), "rubbish\n0 x\n").unwrap();
        assert_eq!(references.all().unwrap(), []);
    }
}
