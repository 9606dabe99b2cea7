//! Whether a breakpoint can stand where it is asked for. Pure.

use crate::fault::Fault;
use rdb_protocol::client::FailureCode;
use rdb_protocol::{BreakpointPlace, SourceFile};

/// How many known names an error gives.
const SOME: usize = 5;

/// The place in the words of the replayed program, if anything matches it. `directory` is where the program ran.
pub(crate) fn resolve(place: &BreakpointPlace, sources: &[SourceFile], directory: &str) -> Result<BreakpointPlace, Fault> {
    match place {
        BreakpointPlace::Line { file, line } => resolve_line(file, *line, sources, directory),
        BreakpointPlace::Function { name } => resolve_function(name, sources),
        BreakpointPlace::Return { name } | BreakpointPlace::Calls { name } => resolve_function(name, sources).map(|_| place.clone()),
        BreakpointPlace::Switch { .. }
        | BreakpointPlace::Output { .. }
        | BreakpointPlace::Raise { .. }
        | BreakpointPlace::Uncaught
        | BreakpointPlace::Native { .. }
        | BreakpointPlace::Value { .. }
        | BreakpointPlace::Outside { .. }
        | BreakpointPlace::Times { .. } => Ok(place.clone()),
    }
}

fn resolve_line(file: &str, line: u32, sources: &[SourceFile], directory: &str) -> Result<BreakpointPlace, Fault> {
    let literal: Vec<&SourceFile> = sources.iter().filter(|s| ends_with(&s.file, file)).collect();
    let matching = if literal.is_empty() {
        sources
            .iter()
            .filter(|s| ends_with(&format!("{directory}/{}", s.file), file))
            .collect()
    } else {
        literal.clone()
    };
    if matching.is_empty() {
        let known = some(sources.iter().map(|s| s.file.as_str()).filter(|f| !f.starts_with('<')));
        return Err(invalid(format!("no file {file} in this recording; known files: {known}")));
    }
    if matching.iter().any(|s| s.lines.contains(&line)) {
        // A file known by a relative name, asked for by an absolute one: replay processes know the relative one only.
        let file = if literal.is_empty() {
            matching[0].file.clone()
        } else {
            file.to_string()
        };
        return Ok(BreakpointPlace::Line { file, line });
    }
    let lines = || matching.iter().flat_map(|s| s.lines.iter().copied());
    let below = lines().filter(|&l| l < line).max();
    let above = lines().filter(|&l| l > line).min();
    let nearest = below.into_iter().chain(above).map(|l| l.to_string()).collect::<Vec<_>>().join(", ");
    Err(invalid(if nearest.is_empty() {
        format!("line {line} of {file} is not breakable; no line of it is")
    } else {
        format!("line {line} of {file} is not breakable; nearest breakable lines: {nearest}")
    }))
}

fn resolve_function(name: &str, sources: &[SourceFile]) -> Result<BreakpointPlace, Fault> {
    let functions = || sources.iter().flat_map(|s| s.functions.iter().map(|(f, _)| f.as_str()));
    if functions().any(|f| f == name || plain(f) == name) {
        return Ok(BreakpointPlace::Function { name: name.to_string() });
    }
    let wanted = plain(name).to_lowercase();
    let similar = some(functions().filter(|f| !wanted.is_empty() && f.to_lowercase().contains(&wanted)));
    Err(invalid(if similar.is_empty() {
        format!("no function {name} ran in this recording")
    } else {
        format!("no function {name} ran in this recording; similar ones: {similar}")
    }))
}

/// The last component of a qualified name.
fn plain(qualified: &str) -> &str {
    qualified.rsplit('.').next().unwrap_or(qualified)
}

/// Whether `path` ends in `suffix`, whole components, case-insensitively.
fn ends_with(path: &str, suffix: &str) -> bool {
    let suffix = suffix.strip_prefix("./").unwrap_or(suffix);
    let mut have = path.rsplit('/').filter(|c| *c != ".");
    !suffix.is_empty()
        && suffix
            .rsplit('/')
            .filter(|c| *c != ".")
            .all(|want| have.next().is_some_and(|h| h.to_lowercase() == want.to_lowercase()))
}

/// A few of them, in one line.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = names.collect();
    // The program's own first: a list that is cut is to have those.
    all.sort_unstable_by_key(|name| (name.contains("/lib/python"), *name));
    all.dedup();
    let more = all.len() > SOME;
    all.truncate(SOME);
    all.join(", ") + if more { ", ..." } else { "" }
}

fn invalid(text: String) -> Fault {
    Fault::told(FailureCode::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<SourceFile> {
        let file = |file: &str, lines: &[u32], functions: &[&str]| SourceFile {
            file: file.into(),
            lines: lines.to_vec(),
            functions: functions.iter().map(|f| (f.to_string(), 1)).collect(),
        };
        vec![
            file("foo.py", &[1, 5, 9], &["<module>", "run", "Box.get"]),
            file("/lib/json/Decoder.py", &[3], &["decode"]),
            file("<frozen importlib>", &[1], &[]),
        ]
    }

    fn line(file: &str, line: u32) -> Result<BreakpointPlace, String> {
        resolve(&BreakpointPlace::Line { file: file.into(), line }, &sources(), "/home/u").map_err(|e| e.to_string())
    }

    fn function(name: &str) -> Result<BreakpointPlace, String> {
        resolve(&BreakpointPlace::Function { name: name.into() }, &sources(), "/home/u").map_err(|e| e.to_string())
    }

    #[test]
    fn files_match_by_whole_components_whatever_the_case() {
        assert!(line("foo.py", 5).is_ok() && line("./foo.py", 5).is_ok());
        assert!(line("decoder.py", 3).is_ok() && line("JSON/decoder.py", 3).is_ok() && line("/lib/json/decoder.py", 3).is_ok());
        assert!(line("oo.py", 5).is_err() && line("/json/decoder.py", 3).is_err());
        let place = line("/home/u/foo.py", 5).unwrap();
        assert_eq!(
            place,
            BreakpointPlace::Line {
                file: "foo.py".into(),
                line: 5
            },
            "as the program knows it"
        );
        assert!(line("/home/v/foo.py", 5).is_err());
    }

    #[test]
    fn errors_name_what_is_there() {
        assert_eq!(
            line("foo.py", 7).unwrap_err(),
            "line 7 of foo.py is not breakable; nearest breakable lines: 5, 9"
        );
        assert_eq!(
            line("foo.py", 99).unwrap_err(),
            "line 99 of foo.py is not breakable; nearest breakable lines: 9"
        );
        assert_eq!(
            line("bar.py", 1).unwrap_err(),
            "no file bar.py in this recording; known files: /lib/json/Decoder.py, foo.py"
        );
        assert_eq!(
            function("Run").unwrap_err(),
            "no function Run ran in this recording; similar ones: run"
        );
        assert_eq!(function("zzz").unwrap_err(), "no function zzz ran in this recording");
        let cut = ["/usr/lib/python3.13/json/scanner.py", "app.py"].into_iter();
        assert_eq!(some(cut), "app.py, /usr/lib/python3.13/json/scanner.py", "one's own first");
    }

    #[test]
    fn functions_match_plain_or_qualified() {
        assert!(function("run").is_ok() && function("get").is_ok() && function("Box.get").is_ok());
        assert!(function("ox.get").is_err() && function("").is_err());
    }
}
