use super::*;
use rdb_protocol::BreakpointPlace;

fn function(name: &str) -> Function {
    Function {
        file: format!("/src/{name}.py"),
        name: name.into(),
        qualname: format!("C.{name}"),
    }
}

fn frames(list: &[u64]) -> Vec<Activation> {
    list.iter().map(|&frame| Activation { frame, code: 1 }).collect()
}

fn stretch(names: &[&str], sites: &[(u32, u32, u8)], stacks: Vec<Stack>) -> Stretch {
    Stretch {
        whole: true,
        functions: names.iter().map(|n| function(n)).collect(),
        sites: sites
            .iter()
            .map(|&(function, line, kinds)| Site { function, line, kinds })
            .collect(),
        stacks,
        lost: Vec::new(),
    }
}

fn stack(thread: u32, kept: u32, entered: &[u64]) -> Stack {
    Stack {
        thread,
        kept,
        entered: frames(entered),
    }
}

fn at(place: BreakpointPlace) -> Vec<Breakpoint> {
    vec![Breakpoint {
        id: 1,
        place,
        test: None,
        quiet: false,
    }]
}

fn line(file: &str, line: u32) -> Vec<Breakpoint> {
    at(BreakpointPlace::Line { file: file.into(), line })
}

/// Ends of the stretches that may hold it, before `edge`.
fn found(index: &Index, breakpoints: &[Breakpoint], follow: Option<Follow>) -> Vec<u64> {
    let candidates = index.candidates(breakpoints, follow);
    let mut all = Vec::new();
    let mut edge = index.end();
    while let Some((begin, end)) = candidates.last_before(edge) {
        all.insert(0, end.0);
        edge = begin;
    }
    all
}

fn follow(frame: u64, passing: Passing) -> Option<Follow> {
    let activation = Activation { frame, code: 1 };
    Some(Follow { activation, passing })
}

/// f calls g in the second stretch, which calls h and returns in the fourth; g runs in the third, too.
fn example() -> Index {
    let mut index = Index::default();
    index.begin(Time(1), stretch(&[], &[], vec![stack(0, 0, &[10])]));
    index.add(
        Time(10),
        stretch(&["f"], &[(0, 3, Site::LINE | Site::ENTRY)], vec![stack(0, 1, &[20])]),
    );
    let second = [(0, 5, Site::LINE), (1, 4, Site::LEAVES), (0, 6, Site::UNWINDS)];
    index.add(Time(20), stretch(&["g", "f"], &second, vec![stack(0, 2, &[30])]));
    index.add(Time(30), stretch(&["h"], &[(0, 3, Site::LINE)], vec![stack(0, 3, &[])]));
    index.add(Time(40), stretch(&["f"], &[(0, 3, Site::LINE)], vec![stack(0, 1, &[20])]));
    index
}

#[test]
fn breakpoints_are_looked_for_where_they_can_be() {
    let index = example();
    assert_eq!(found(&index, &line("f.py", 3), None), [1, 10, 40]);
    assert_eq!(found(&index, &line("src/g.py", 5), None), [1, 20]);
    assert_eq!(found(&index, &line("g.py", 3), None), [1], "another file's line 3");
    assert_eq!(found(&index, &at(BreakpointPlace::Function { name: "C.f".into() }), None), [1, 10]);
    assert_eq!(found(&index, &at(BreakpointPlace::Return { name: "f".into() }), None), [1, 20]);
    assert_eq!(found(&index, &at(BreakpointPlace::Calls { name: "g".into() }), None), [1, 20]);
    let times = vec![Time(20), Time(21), Time(99)];
    assert_eq!(found(&index, &at(BreakpointPlace::Times { times }), None), [1, 20, 30]);
    let files = vec!["/src/f.py".to_string(), "/src/g.py".to_string()];
    assert_eq!(found(&index, &at(BreakpointPlace::Outside { files }), None), [1, 30]);
    let switch = at(BreakpointPlace::Switch { from: None, to: None });
    assert_eq!(found(&index, &switch, None), [1, 10, 20, 30, 40]);
}

#[test]
fn activations_are_looked_for_where_they_ran_or_ended() {
    let index = example();
    // f is there all the time, and runs where what it called is not there, or goes.
    assert_eq!(found(&index, &[], follow(10, Passing::Any)), [1, 10, 40]);
    assert_eq!(found(&index, &[], follow(10, Passing::End)), [1]);
    // g begins in the first stretch, and another one in its place in the last.
    assert_eq!(found(&index, &[], follow(20, Passing::End)), [1, 10, 40]);
    assert_eq!(found(&index, &[], follow(20, Passing::Any)), [1, 10, 20, 40]);
    // Nobody knows this one: it may be a generator.
    assert_eq!(found(&index, &[], follow(99, Passing::Any)), [1, 10, 20, 30, 40]);
}

#[test]
fn what_is_not_known_is_not_left_out() {
    let mut index = example();
    index.add(
        Time(50),
        Stretch {
            whole: false,
            ..stretch(&[], &[], vec![])
        },
    );
    let lost = Stretch {
        lost: vec![0],
        ..stretch(&[], &[], vec![])
    };
    index.add(Time(60), lost);
    index.add(Time(70), stretch(&[], &[], vec![stack(0, 2, &[])]));
    assert_eq!(found(&index, &line("f.py", 99), None), [1, 50]);
    assert_eq!(found(&index, &[], follow(10, Passing::End)), [1, 50, 60, 70]);
    let beyond = index.candidates(&line("f.py", 99), None);
    assert_eq!(beyond.last_before(Time(99)), Some((Time(70), Time(99))), "not surveyed yet");
    assert_eq!(beyond.first_after(Time(55)), Time(70));
    assert_eq!(beyond.first_after(Time(80)), Time(80));
    // A runner that begins anew somewhere takes back what lies behind.
    index.begin(Time(35), stretch(&[], &[], vec![stack(0, 0, &[10, 20])]));
    assert_eq!(index.end(), Time(35));
    index.add(Time(45), stretch(&[], &[], vec![stack(0, 2, &[])]));
    assert_eq!(found(&index, &[], follow(20, Passing::End)), [1, 10, 35]);
}

#[test]
fn threads_that_did_not_run_did_nothing() {
    let mut index = Index::default();
    index.begin(Time(1), stretch(&[], &[], vec![stack(0, 0, &[10]), stack(1, 0, &[110])]));
    index.add(Time(10), stretch(&[], &[], vec![stack(1, 1, &[120])]));
    index.add(Time(20), stretch(&[], &[], vec![stack(0, 1, &[])]));
    assert_eq!(found(&index, &[], follow(10, Passing::Any)), [1, 20]);
    assert_eq!(found(&index, &[], follow(110, Passing::Any)), [1, 10]);
}

#[test]
fn edges() {
    let index = example();
    let candidates = index.candidates(&line("f.py", 3), None);
    // Ranges are (0,1], (1,10], (30,40].
    assert_eq!(candidates.last_before(Time(30)), Some((Time(1), Time(10))));
    assert_eq!(candidates.last_before(Time(31)), Some((Time(30), Time(31))));
    assert_eq!(candidates.last_before(Time(1)), Some((Time(0), Time(1))));
    assert_eq!(candidates.last_before(Time(0)), None);
    assert_eq!(candidates.first_after(Time(10)), Time(30));
    assert_eq!(candidates.first_after(Time(5)), Time(5));
    assert_eq!(candidates.first_after(Time(40)), Time(40));
}

#[test]
fn comes_back_from_disk_and_goes_on() {
    let whole = example();
    let bytes = postcard::to_allocvec(&whole).unwrap();
    let mut back: Index = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(found(&back, &line("f.py", 3), None), [1, 10, 40]);
    back.add(Time(50), stretch(&["g"], &[(0, 5, Site::LINE)], vec![]));
    assert_eq!(found(&back, &line("g.py", 5), None), [1, 20, 50], "no site has two numbers");
    assert!(back.size() < 2000);
}

#[test]
fn numbers_are_packed() {
    let all = [0, 1, 127, 128, 300, 70_000, u32::MAX];
    assert_eq!(unpack(&pack(&all)).collect::<Vec<_>>(), all);
    assert_eq!(pack(&[5, 6, 7, 8]).len(), 4);
    for cut in [&[0x80][..], &[0xff; 20]] {
        assert!(unpack(cut).count() <= 1);
    }
}

#[test]
fn the_nearest_boundary() {
    let mut index = Index::default();
    assert_eq!(index.boundary_near(Time(5)), None);
    index.begin(Time(1), stretch(&[], &[], vec![]));
    for end in [10, 20, 40] {
        index.add(Time(end), stretch(&[], &[], vec![]));
    }
    let near = |time| index.boundary_near(Time(time)).map(|t| t.0);
    let all = [0, 1, 5, 6, 10, 14, 29, 31, 40, 99].map(near);
    assert_eq!(all, [1, 1, 1, 10, 10, 10, 20, 40, 40, 40].map(Some));
}
