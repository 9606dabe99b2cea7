//! Lines that are commands, and lines that are not.

use super::*;
use rdb_protocol::Time;

const EMPTY: &str = "Empty breakpoint name: expected a place, which is written LINE, FILE:LINE or FUNC";

fn one(line: &str) -> Command {
    parse(line).unwrap().unwrap()
}

fn error(line: &str) -> String {
    parse(line).unwrap_err()
}

#[test]
fn moves() {
    let step = |count, direction| Command::Step { count, direction };
    assert_eq!(one("s"), step(1, Direction::Forward));
    assert_eq!(one("  step   12 "), step(12, Direction::Forward));
    assert_eq!(one("reverse-step 2"), step(2, Direction::Backward));
    assert_eq!(one("bs"), one("bstep"));
    let to = |count, direction| Command::Continue { count, direction };
    assert_eq!((one("c"), one("c 30")), (to(1, Direction::Forward), to(30, Direction::Forward)));
    assert_eq!(
        (one("reverse-continue"), one("bc 2")),
        (to(1, Direction::Backward), to(2, Direction::Backward))
    );
    assert_eq!(error("c 0"), "the number of hits must be at least 1");
    assert_eq!(error("bc x"), "expected a number of hits, not 'x'");
    assert_eq!(error("step x"), "expected a number of stop points, not 'x'");
    assert_eq!(error("step 0"), "the number of stop points must be at least 1");
    let next = |count, direction| Command::Next { count, direction };
    assert_eq!((one("n"), one("bn 3")), (next(1, Direction::Forward), next(3, Direction::Backward)));
    assert_eq!(one("reverse-next"), one("bnext"));
    assert_eq!(one("reverse-finish"), one("bfinish"));
    assert_eq!(error("until"), EMPTY);
    assert_eq!(error("stepi x"), "expected a number of instructions, not 'x'");
    assert_eq!(error("bt 0"), "the number of frames must be at least 1");
    assert_eq!(error("bt x"), "expected a number of frames, not 'x'");
    assert_eq!((one("bt 5"), one("where")), (Command::Backtrace(Some(5)), Command::Backtrace(None)));
    assert_eq!(error("fin 3"), "fin takes no argument, and '3' was given");
}

#[test]
fn jumps() {
    for (line, target) in [
        ("go 17", Target::Time(Time(17))),
        ("go start", Target::Start),
        ("go end", Target::End),
        ("go 50%", Target::Permille(500)),
        ("go 0.55%", Target::Permille(5)),
        ("go 100 %", Target::Permille(1000)),
    ] {
        assert_eq!(one(line), Command::Go(target), "{line}");
    }
    assert_eq!(one("go"), Command::When);
    for bad in ["go 101%", "go -1", "go 5.%", "go %", "go a b", "go 1.x%", "go 99999%"] {
        assert_eq!(
            error(bad),
            format!("expected a time, start, end, a percentage or a bookmark, not '{}'", &bad[3..])
        );
    }
    assert_eq!(one("go home"), Command::GoMark("home".into()));
    assert_eq!(one("mark before-it"), Command::Mark("before-it".into()));
    assert!(error("mark end").contains("not start or end") && error("mark").contains("expected a name"));
}

#[test]
fn breakpoints() {
    let at = |place| Command::Break {
        place,
        condition: None,
        temporary: false,
    };
    let line = |file: &str, line| at(BreakpointPlace::Line { file: file.into(), line });
    let function = |name: &str| at(BreakpointPlace::Function { name: name.into() });
    assert_eq!(one("b 7"), line("", 7));
    assert_eq!(one("break :7"), line("", 7));
    assert_eq!(one("b x.py:7"), line("x.py", 7));
    assert_eq!(one("b a:b/x.py:7"), line("a:b/x.py", 7));
    assert_eq!(one("b f"), function("f"));
    assert_eq!(one("b C.f()"), function("C.f"));
    let raise = |class: Option<&str>| {
        at(BreakpointPlace::Raise {
            class: class.map(str::to_owned),
        })
    };
    assert_eq!((one("b raise"), one("b raise  a.B")), (raise(None), raise(Some("a.B"))));
    assert_eq!(
        (one("b uncaught"), one("b uncaught()")),
        (at(BreakpointPlace::Uncaught), function("uncaught"))
    );
    assert_eq!(
        error("b raise a b"),
        "expected the name of an exception class after raise, not 'a b'"
    );
    assert_eq!(error("b raise .B"), "expected the name of an exception class after raise, not '.B'");
    assert_eq!(error("b uncaught x"), "expected nothing or a condition after uncaught, not 'x'");
    let call = BreakpointPlace::Native {
        name: "_socket.socket.connect".into(),
    };
    assert_eq!(one("b call _socket.socket.connect()"), at(call));
    for odd in ["b call a..b", "b call f(x)", "b call a b"] {
        assert!(error(odd).starts_with("expected the dotted name"), "{odd}");
    }
    assert_eq!(error("b"), EMPTY);
    assert_eq!(error("b ()"), EMPTY);
    assert_eq!(error("b x.py:"), "expected a line number after colon");
    assert_eq!(error("b x.py:f"), "expected a line number after colon");
    assert_eq!(error("b x.py:0"), "lines count from 1");
    assert_eq!(error("b 99999999999"), "'99999999999' is no line number");
    let odd = |line: &str| {
        if let Command::Break { place, .. } = one(line) {
            super::odd(&place)
        } else {
            None
        }
    };
    assert_eq!(odd("b f.<locals>.<lambda>"), None);
    assert!(odd("b x.py").unwrap().contains("x.py:LINE"));
    assert!(odd("b f(x)").is_some());
    assert_eq!(one("del 3"), Command::Delete(Some(3)));
    assert_eq!(one("delete"), Command::Delete(None));
    assert_eq!(error("delete all"), "expected a breakpoint number, not 'all'");
    let conditional = Command::Break {
        place: BreakpointPlace::Function { name: "f".into() },
        condition: Some("x if y else z".into()),
        temporary: true,
    };
    assert_eq!(one("tbreak f if  x if y else z"), conditional);
    assert_eq!(error("b f if "), "expected a condition after if");
    assert_eq!(
        one("condition 2 a b"),
        Command::Change(Some(2), Change::Condition(Some("a b".into())))
    );
    assert_eq!(one("condition 2"), Command::Change(Some(2), Change::Condition(None)));
    assert_eq!(one("ignore 2 30"), Command::Change(Some(2), Change::Ignore(30)));
    assert_eq!(error("ignore 2"), "expected a number of hits, not ''");
    assert_eq!(one("disable"), Command::Change(None, Change::Enabled(false)));
    assert_eq!(one("enable 3"), Command::Change(Some(3), Change::Enabled(true)));
}

#[test]
fn code_is_taken_verbatim() {
    for (line, code) in [
        ("p x  #  y", "x  #  y"),
        ("!x = 1; y", "x = 1; y"),
        ("print (1, 2)", "(1, 2)"),
        ("print(1, 2)", "print(1, 2)"),
        ("! a", "a"),
    ] {
        assert_eq!(one(line), Command::Print(code.into()));
    }
    assert_eq!(error("p"), "expected an expression or statement after print");
}

#[test]
fn the_rest() {
    assert_eq!(one("l"), Command::List(ListRange::Here));
    assert_eq!(one("l 9"), Command::List(ListRange::Around(None, 9)));
    assert_eq!(one("l x.py:9"), Command::List(ListRange::Around(Some("x.py".into()), 9)));
    assert_eq!(one("list 3, 9"), Command::List(ListRange::Lines(None, 3, 9)));
    assert_eq!(error("list 9,3"), "the first line, 9, comes after the last, 3");
    assert_eq!(one("list x.py:3,9"), Command::List(ListRange::Lines(Some("x.py".into()), 3, 9)));
    assert_eq!(one("list C.f()"), Command::List(ListRange::Function("C.f".into())));
    assert_eq!(error("list x.py:y"), "expected a line number, not 'y'");
    assert_eq!(error("list 0"), "lines count from 1");
    assert_eq!(one("set depth 3"), Command::Set(Some((Setting::Depth, 3))));
    assert_eq!(error("set width 3"), "expected depth, elements or size after set, not 'width'");
    assert_eq!(
        (error("set size 0"), error("set size x")),
        ("size must be at least 1".into(), "expected a number, not 'x'".into())
    );
    assert_eq!(
        (one("info source"), one("info so x")),
        (
            Command::Info(InfoTopic::Source, String::new()),
            Command::Info(InfoTopic::Sources, "x".into())
        )
    );
    assert_eq!(one("info b"), Command::Info(InfoTopic::Breakpoints, String::new()));
    assert_eq!(one("info f tot"), Command::Info(InfoTopic::Functions, "tot".into()));
    assert!(error("info").starts_with("expected breakpoints, checkpoints, files, functions"));
    assert_eq!(error("info trace x"), "info trace takes no argument, and 'x' was given");
    assert_eq!(one("up"), Command::Frame(FrameChoice::Up(1)));
    assert_eq!(one("down 2"), Command::Frame(FrameChoice::Down(2)));
    assert_eq!(one("f 3"), Command::Frame(FrameChoice::Number(3)));
    assert_eq!(one("frame"), Command::Frame(FrameChoice::Same));
    assert_eq!(one("help bc"), Command::Help(Some("bc".into())));
    assert_eq!(one("q"), Command::Quit);
    assert_eq!(parse("   "), Ok(None));
    assert_eq!(parse("# note"), Ok(None));
    assert_eq!(error("x"), "unknown command 'x'; try help, or 'print x' to evaluate it");
    assert_eq!(
        error("rows[0] .a"),
        "unknown command 'rows[0]'; try help, or 'print rows[0] .a' to evaluate it"
    );
}
