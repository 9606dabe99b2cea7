//! The manual page of `rdbctl` is generated from the command line's own definition, and must not be stale.
//!
//! `REGENERATE=1 cargo test -p rdb-client --test man` writes it anew.

use clap::CommandFactory;
use clap_mangen::Man;
use rdb_client::cli::Cli;
use rdb_client::commands::names::NAMES;
use std::path::Path;

const TAIL: &str = r#".SH "EXIT STATUS"
.TP
0
Done.
.TP
1
The answer is negative: a command of
.B batch
was refused or reached an end of the history, the replay differs from the recording, the trace is damaged.
.TP
2
Usage error or fault.
.PP
.B record
ends as the recorded program ends, by the same signal if it was one.
127 means that the program was not found, 126 that it cannot be recorded, 125 that recording could not start.
.SH JSON
.B batch \-\-json
prints one object a line for each command:
.PP
.nf
{"cmd", "ok", "time", "stop": {"reason", "file", "line", "function", "kind",
 "thread", "breakpoints", "value", "notes"} or null, "frames", "text",
 "error": {"code", "text"} or null}
.fi
.PP
.I reason
is breakpoint, step, thread_switch, go, here, main_done, history_begin or history_end;
.I kind
is line, return, yield or unwind.
.I value
is what is returned or raised, after next, finish or until;
.IR value ", " notes " and " frames
are left out where there are none.
.I frames
belongs to backtrace: {"file", "line", "function", "id"} each, the innermost first; the
.I id
of a call stays the same until it ends.
.SH ENVIRONMENT
.TP
XDG_DATA_HOME
Traces are kept in
.IR $XDG_DATA_HOME/rdb ,
by default
.IR ~/.local/share/rdb .
.TP
XDG_CACHE_HOME
Packed traces that were opened directly are unpacked in
.IR $XDG_CACHE_HOME/rdb ,
by default
.IR ~/.cache/rdb ;
it may be deleted.
.TP
XDG_RUNTIME_DIR
The daemon's socket is
.IR $XDG_RUNTIME_DIR/rdb/rdbd.sock ,
without it
.IR /tmp/rdb-UID/rdbd.sock .
.TP
RDB_RDBD
The daemon to start, instead of the
.B rdbd
beside
.B rdbctl
or in PATH.
.TP
NO_COLOR
When set, no colour is used.
.SH FILES
.TP
.I ~/.local/share/rdb/latest
A link to the newest trace.
.TP
.I ~/.local/share/rdb/store
The contents of files that traces share. A trace has a link to each it needs.
.TP
.I ~/.local/share/rdb/history
The history of the prompt.
.SH "SEE ALSO"
.BR rdb (7),
.BR rdb-trace (5),
.BR rdbd (8)
"#;

fn rendered(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    render(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn escaped(text: &str) -> String {
    let line = |l: &str| {
        let l = l.replace('\\', "\\e").replace('-', "\\-").replace('`', "\\(ga");
        if l.starts_with(['.', '\'']) { format!("\\&{l}") } else { l }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Help ends in an example and, perhaps, the exit status.
fn after_help(text: &str) -> String {
    let Some(rest) = text.strip_prefix("Example:\n") else {
        panic!("no example: {text}")
    };
    let (example, notes) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let example: Vec<&str> = example.lines().map(str::trim_start).collect();
    format!(
        ".PP\nExample:\n.PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n.PP\n{}\n",
        escaped(&example.join("\n")),
        escaped(notes)
    )
}

fn page() -> String {
    let mut command = Cli::command();
    command.build();
    let man = Man::new(command.clone())
        .title("RDBCTL")
        .section("1")
        .manual("rdb")
        .source(format!("rdb {}", env!("CARGO_PKG_VERSION")));
    let mut page = rendered(|w| {
        man.render_title(w)?;
        man.render_name_section(w)
    });
    page.push_str(
        ".SH SYNOPSIS\n.B rdbctl\n.I SUBCOMMAND\n.RI [ OPTIONS ]\n.SH DESCRIPTION\nRecords the whole run of a program once. Afterwards one \
         can walk through that run, forward and backward, and look at any object at any time.\nThe program is not modified, and cannot tell.\n.PP\n",
    );
    page.push_str("TRACE is a directory, a name under the data directory, a packed trace, or\n.BR latest .\n");
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        let man = Man::new(sub.clone());
        page.push_str(&format!(
            ".SH \"RDBCTL {}\"\n{}.\n",
            sub.get_name().to_uppercase(),
            sub.get_about().map(ToString::to_string).unwrap()
        ));
        let body = rendered(|w| {
            man.render_synopsis_section(w)?;
            man.render_options_section(w)
        });
        page.push_str(&body.replace(".SH ", ".SS "));
        page.push_str(&after_help(&sub.get_after_help().unwrap().to_string()));
    }
    page.push_str(".SH COMMANDS\nOf\n.B replay\nand\n.BR batch .\nA line that is empty or begins with # is skipped; at the prompt an empty line repeats the last command.\n");
    for name in NAMES {
        let names: Vec<String> = std::iter::once(&name.name)
            .chain(name.aliases)
            .map(|n| format!("\\fB{}\\fR", escaped(n)))
            .collect();
        page.push_str(&format!(
            ".TP\n{} {}\n{}.\n",
            names.join(", "),
            escaped(name.arguments),
            escaped(name.summary)
        ));
        for line in name.detail.lines() {
            page.push_str(&format!(".br\n{}\n", escaped(line)));
        }
    }
    page + TAIL
}

#[test]
fn the_manual_is_not_stale() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/rdbctl.1");
    let page = page();
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "man/rdbctl.1 is stale: REGENERATE=1 cargo test -p rdb-client --test man"
    );
}
