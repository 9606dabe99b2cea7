//! Breakpoints kept beside the trace, one JSON object a line: what was asked for, and where that is in the words of replay processes,
//! which stays true as long as the recording is the same.

use crate::fault::Fault;
use rdb_protocol::BreakpointPlace;
use rdb_protocol::client::{BreakpointInfo, Evaluations};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// Name of the file.
const FILE: &str = "breakpoints";
/// Longer lists of times are found anew when they are needed.
const MOST_TIMES: usize = 100_000;

/// A breakpoint as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// For people. Hits and what they cost are of a session, and not kept.
    pub breakpoint: BreakpointInfo,
    /// For replay processes; `None` when it is to be found anew.
    pub known: Option<BreakpointPlace>,
}

impl Saved {
    /// Of one that is set.
    pub(crate) fn new(breakpoint: BreakpointInfo, known: &BreakpointPlace) -> Saved {
        let too_long = matches!(known, BreakpointPlace::Times { times } if times.len() > MOST_TIMES);
        Saved {
            breakpoint: BreakpointInfo {
                hits: 0,
                evaluations: Evaluations::default(),
                ..breakpoint
            },
            known: (!too_long).then(|| known.clone()),
        }
    }
}

/// All of them. Lines that are none are passed over.
pub(crate) fn read(trace: &Path) -> Result<Vec<Saved>, Fault> {
    match fs::read_to_string(trace.join(FILE)) {
        Ok(text) => Ok(text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Fault::system("cannot read the breakpoints saved beside the trace")(e)),
    }
}

/// Replaces them all.
pub(crate) fn write(trace: &Path, all: &[Saved]) -> Result<(), Fault> {
    let lines = all.iter().map(|b| serde_json::to_string(b).map(|l| l + "\n"));
    let written = lines.collect::<Result<String, _>>().map_err(io::Error::from).and_then(|text| {
        let new = trace.join(format!("{FILE}.{}.new", std::process::id()));
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, trace.join(FILE)));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written
    });
    written.map_err(Fault::system("cannot save the breakpoints beside the trace"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_protocol::Time;

    #[test]
    fn are_kept_without_hits_and_without_long_lists() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
        let info = BreakpointInfo {
            id: 3,
            hits: 7,
            condition: Some("a\n\"b\"".into()),
            ..BreakpointInfo::new(BreakpointPlace::Uncaught)
        };
        let times = |n: u64| BreakpointPlace::Times {
            times: (1..=n).map(Time).collect(),
        };
        let all = [Saved::new(info.clone(), &times(2)), Saved::new(info, &times(100_001))];
        assert_eq!(
            (all[0].breakpoint.hits, all[0].known.is_some(), all[1].known.is_some()),
            (0, true, false)
        );
        write(dir.path(), &all).unwrap();
        assert_eq!(read(dir.path()).unwrap(), all);
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        fs::write(dir.path().join(FILE), format!("rubbish\n{{}}\n{text}")).unwrap();
        assert_eq!(read(dir.path()).unwrap(), all);
        assert!(write(&dir.path().join("none"), &all).is_err());
    }
}
