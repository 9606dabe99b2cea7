//! A C program from a seed: acts in random order, with random sizes, in the main thread, in several at once, in children, under a timer, and
//! between them computation that is made up.

use std::fmt::Write;

const BASE: &str = include_str!("acts/base.c");
const ACTS: [&str; 7] = [
    include_str!("acts/files.c"),
    include_str!("acts/channels.c"),
    include_str!("acts/memory.c"),
    include_str!("acts/processes.c"),
    include_str!("acts/threads.c"),
    include_str!("acts/signals.c"),
    include_str!("acts/pure.c"),
];
const MAIN: &str = include_str!("acts/main.c");

/// Numbers from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap_or(0)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// The names of all acts, and whether each may run beside others.
fn acts() -> Vec<(&'static str, bool)> {
    let name = |line: &'static str| {
        let (kind, rest) = line.split_once('(')?;
        let beside = match kind {
            "ACT" => true,
            "ALONE" => false,
            _ => return None,
        };
        Some((rest.split_once(')')?.0, beside))
    };
    ACTS.iter().flat_map(|text| text.lines()).filter_map(name).collect()
}

/// A function of made-up computation: integers of all widths, floating point, branches.
fn computation(numbers: &mut Numbers, name: usize) -> String {
    let mut body = String::new();
    let variables = ["a", "b", "c", "d"];
    let floats = ["x", "y", "z"];
    for _ in 0..4 + numbers.below(12) {
        let (to, one, other) = (numbers.one(&variables), numbers.one(&variables), numbers.one(&variables));
        let (f, g, h) = (numbers.one(&floats), numbers.one(&floats), numbers.one(&floats));
        let constant = numbers.next() >> numbers.below(63);
        let shift = numbers.below(63);
        let _ = match numbers.below(12) {
            0 => writeln!(body, "        {to} = {one} + {other} * {constant}ul;"),
            1 => writeln!(body, "        {to} ^= {one} << {shift} | {other} >> (63 - {shift});"),
            2 => writeln!(body, "        {to} = {one} / ({other} | 1) + (int){one} % 1001;"),
            3 => writeln!(body, "        if ({one} > {other}) {to} -= {constant}ul; else {to} = ~{to};"),
            4 => writeln!(body, "        {to} += (unsigned char){one} * (short){other};"),
            5 => writeln!(body, "        {to} = (unsigned long)__builtin_popcountl({one}) * {other};"),
            6 => writeln!(body, "        {f} = {g} * 0.5 + {h} / 3 + (double)(int){one};"),
            7 => writeln!(body, "        {f} = sqrt(fabs({g})) - (float){h};"),
            8 => writeln!(body, "        if ({f} < {g}) {to}++;"),
            9 => writeln!(body, "        t[{one} % 61] += {other}; {to} ^= t[{constant} % 61];"),
            10 => writeln!(
                body,
                "        {to} = (unsigned)memcmp(t + {one} % 30, t + {other} % 30, 64) >> 31 ^ {to};"
            ),
            _ => writeln!(body, "        {to} += __builtin_add_overflow({one}, {other}, &{to});"),
        };
    }
    format!(
        "static unsigned made_{name}(unsigned seed, unsigned size) {{\n    unsigned long a = seed, b = size, c = 1, d = {}ul, t[64] = {{0}};\n    \
         double x = seed, y = 1.5, z = 0;\n    for (unsigned i = 0; i < size * 10; i++) {{\n{body}    }}\n    \
         return mix(sum(t, sizeof t), (unsigned)(a ^ b ^ c ^ d)) + (x + y < z);\n}}\n",
        numbers.next()
    )
}

/// The program.
#[must_use]
pub fn program(seed: u64) -> String {
    let mut numbers = Numbers(seed);
    let known = acts();
    let made: Vec<String> = (0..3).map(|n| computation(&mut numbers, n)).collect();
    let names: Vec<String> = (0..made.len()).map(|n| format!("made_{n}")).collect();
    let beside: Vec<&str> = known
        .iter()
        .filter(|a| a.1)
        .map(|a| a.0)
        .chain(names.iter().map(String::as_str))
        .collect();
    let all: Vec<&str> = known.iter().map(|a| a.0).chain(names.iter().map(String::as_str)).collect();
    let mut calls = String::new();
    let size = |numbers: &mut Numbers| {
        if numbers.below(8) == 0 {
            numbers.below(200)
        } else {
            1 + numbers.below(30)
        }
    };
    for step in 0..6 + numbers.below(10) {
        let act = |numbers: &mut Numbers, from: &[&str]| {
            let size = size(numbers);
            format!("{{{}, \"{0}\", {}u, {size}u}}", numbers.one(from), numbers.next() & 0xffff_ffff)
        };
        let _ = match numbers.below(10) {
            0..5 => writeln!(calls, "    now(&(struct act){});", act(&mut numbers, &all)),
            kind => {
                let count = 2 + numbers.below(3);
                let acts: Vec<String> = (0..count).map(|_| act(&mut numbers, &beside)).collect();
                let how = match kind {
                    5..8 => "at_once",
                    8 => "in_child",
                    _ => "in_thread_of_child",
                };
                writeln!(
                    calls,
                    "    static struct act s{step}[] = {{{}}};\n    {how}(s{step}, {count});",
                    acts.join(", ")
                )
            }
        };
        if numbers.below(6) == 0 {
            let _ = writeln!(calls, "    ring({});", numbers.one(&[0u32, 150, 400, 1500, 5000]));
        }
    }
    let text: String = std::iter::once(BASE)
        .chain(ACTS)
        .chain([MAIN])
        .chain(made.iter().map(String::as_str))
        .collect();
    format!("{text}\nint main(void) {{\n    begin();\n{calls}    ring(0);\n    puts(\"done\");\n    return 0;\n}}\n")
}

/// How it is compiled.
#[must_use]
pub fn flags(seed: u64) -> Vec<&'static str> {
    let mut numbers = Numbers(!seed);
    let mut flags = vec!["-g", "-pthread", "-w"];
    flags.push(numbers.one(&["-O0", "-O1", "-O2", "-O3"]));
    match numbers.below(6) {
        0 => flags.push("-static"),
        1 => flags.push("-no-pie"),
        2 => flags.push("-Wl,-z,now"),
        _ => {}
    }
    flags
}
