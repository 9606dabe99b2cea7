//! Conditions that a replay process can decide by reading memory: the part of the language that this is possible for.
//!
//! What is not understood here is no mistake: it is evaluated by the interpreter. So whatever could mean something else is left to it.

use rdb_protocol::Time;
use rdb_protocol::predicate::{Arithmetic, Comparison, Op, Predicate};

/// Words that are no names.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
    "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try",
    "while", "with", "yield",
];
/// Longer programs, and deeper ones, are for the interpreter.
const MOST: usize = 64;
const DEEPEST: u32 = 16;

/// An expression as a predicate; `object` says what stands for a numbered object.
pub(crate) fn predicate(source: &str, object: &dyn Fn(&str) -> Option<Step>) -> Option<Predicate> {
    steps(source, object).map(|steps| lowered(&steps))
}

fn steps(source: &str, object: &dyn Fn(&str) -> Option<Step>) -> Option<Vec<Step>> {
    let tokens = tokens(source)?;
    let mut parser = Parser {
        tokens: &tokens,
        object,
        depth: 0,
    };
    let steps = parser.either()?;
    (parser.tokens.is_empty() && steps.len() <= MOST).then_some(steps)
}

/// A step, with what it names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Name(String),
    Object {
        address: u64,
        from: Time,
        until: Option<Time>,
    },
    Text(String),
    Attribute(String),
    /// One that names nothing.
    Plain(Op),
}

fn lowered(steps: &[Step]) -> Predicate {
    let mut predicate = Predicate::default();
    for step in steps {
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (text, object) = (number(predicate.texts.len()), number(predicate.objects.len()));
        predicate.ops.push(match step {
            Step::Name(_) => Op::Name(text),
            Step::Text(_) => Op::Text(text),
            Step::Attribute(_) => Op::Attribute(text),
            Step::Object { .. } => Op::Object(object),
            Step::Plain(op) => *op,
        });
        match step {
            Step::Name(text) | Step::Text(text) | Step::Attribute(text) => predicate.texts.push(text.clone()),
            Step::Object { address, from, until } => predicate.objects.push((*address, *from, *until)),
            Step::Plain(_) => {}
        }
    }
    predicate
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Integer(i64),
    Float(f64),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 27] = [
    "==", "!=", "<=", ">=", "//", "**", "<<", ">>", ":=", "->", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "(", ")", "[", "]", ",",
    ".", ":",
];

fn tokens(source: &str) -> Option<Vec<Token>> {
    let mut rest = source.trim();
    let mut all = Vec::new();
    while let Some(c) = rest.chars().next() {
        let (token, length) = match c {
            ' ' | '\t' => {
                rest = &rest[1..];
                continue;
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let word = &rest[..end];
                // Prefixes of strings, and names that are written in more than one way.
                if !word.is_ascii() || rest[end..].starts_with(['\'', '"']) {
                    return None;
                }
                (Token::Word(word.to_string()), end)
            }
            '0'..='9' => number(rest)?,
            '\'' | '"' => text(rest)?,
            _ => {
                let sign = SIGNS.iter().find(|s| rest.starts_with(**s))?;
                (Token::Sign(sign), sign.len())
            }
        };
        all.push(token);
        rest = &rest[length..];
    }
    Some(all)
}

fn number(rest: &str) -> Option<(Token, usize)> {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
    let word = &rest[..end];
    if word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0')) {
        return Some((Token::Integer(word.parse().ok()?), end));
    }
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = word.split_once('e').map_or((word, None), |(m, e)| (m, Some(e)));
    let plain = match mantissa.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => exponent.is_some() && digits(mantissa),
    };
    (plain && exponent.is_none_or(digits)).then(|| Some((Token::Float(word.parse().ok()?), end)))?
}

fn text(rest: &str) -> Option<(Token, usize)> {
    let quote = rest.chars().next()?;
    if rest.starts_with(&quote.to_string().repeat(3)) {
        return None;
    }
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((Token::Text(text), at + 1)),
            '\\' => text.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                c @ ('\\' | '\'' | '"') => c,
                _ => return None,
            }),
            '\n' | '\r' => return None,
            c => text.push(c),
        }
    }
    None
}

struct Parser<'a> {
    tokens: &'a [Token],
    object: &'a dyn Fn(&str) -> Option<Step>,
    depth: u32,
}

type Ops = Vec<Step>;

impl Parser<'_> {
    fn sign(&mut self, sign: &str) -> bool {
        self.take(|t| matches!(t, Token::Sign(s) if *s == sign))
    }

    fn word(&mut self, word: &str) -> bool {
        self.take(|t| matches!(t, Token::Word(w) if w == word))
    }

    fn take(&mut self, is: impl Fn(&Token) -> bool) -> bool {
        let there = self.tokens.first().is_some_and(is);
        if there {
            self.tokens = &self.tokens[1..];
        }
        there
    }

    fn either(&mut self) -> Option<Ops> {
        self.joined("or", Op::Or, Self::both)
    }

    fn both(&mut self) -> Option<Ops> {
        self.joined("and", Op::And, Self::negation)
    }

    fn joined(&mut self, word: &str, op: fn(u32) -> Op, part: fn(&mut Self) -> Option<Ops>) -> Option<Ops> {
        let mut parts = vec![part(self)?];
        while self.word(word) {
            parts.push(part(self)?);
        }
        let mut ops = parts.pop()?;
        while let Some(mut before) = parts.pop() {
            before.push(Step::Plain(op(u32::try_from(ops.len()).ok()?)));
            before.extend(ops);
            ops = before;
        }
        Some(ops)
    }

    fn negation(&mut self) -> Option<Ops> {
        if self.word("not") {
            let mut ops = self.deeper(Self::negation)?;
            ops.push(Step::Plain(Op::Not));
            return Some(ops);
        }
        self.comparison()
    }

    fn deeper(&mut self, part: fn(&mut Self) -> Option<Ops>) -> Option<Ops> {
        self.depth += 1;
        let ops = if self.depth < DEEPEST { part(self) } else { None };
        self.depth -= 1;
        ops
    }

    fn comparison(&mut self) -> Option<Ops> {
        let mut left = self.binary(0)?;
        let mut parts: Vec<Ops> = Vec::new();
        loop {
            let negated = self.word("not");
            if self.word("in") {
                let mut ops = left.clone();
                left = Vec::new();
                ops.extend(self.among()?);
                if negated {
                    ops.push(Step::Plain(Op::Not));
                }
                parts.push(ops);
                // What follows would compare the container.
                break;
            }
            if negated {
                return None;
            }
            let comparison = if self.word("is") {
                if self.word("not") { Comparison::IsNot } else { Comparison::Is }
            } else if let Some(found) = COMPARISONS.iter().find(|c| self.sign(c.0)) {
                found.1
            } else {
                break;
            };
            let right = self.binary(0)?;
            let mut ops = left;
            ops.extend(right.iter().cloned());
            ops.push(Step::Plain(Op::Compare(comparison)));
            parts.push(ops);
            // Evaluated twice here: it has no effects.
            left = right;
        }
        if parts.is_empty() {
            return Some(left);
        }
        let mut ops = parts.pop()?;
        while let Some(mut before) = parts.pop() {
            before.push(Step::Plain(Op::And(u32::try_from(ops.len()).ok()?)));
            before.extend(ops);
            ops = before;
        }
        Some(ops)
    }

    /// What stands behind `in`.
    fn among(&mut self) -> Option<Ops> {
        let close = match self.tokens.first()? {
            Token::Sign("(") => ")",
            Token::Sign("[") => "]",
            _ => return self.container(),
        };
        let before = self.tokens;
        self.tokens = &self.tokens[1..];
        let (mut ops, mut count, mut comma) = (Vec::new(), 0, false);
        while !self.sign(close) {
            if count > 0 && !comma {
                return None;
            }
            ops.extend(self.deeper(Self::either)?);
            count += 1;
            comma = self.sign(",");
        }
        if close == ")" && count == 1 && !comma {
            // Brackets around an expression.
            self.tokens = before;
            return self.container();
        }
        if matches!(self.tokens.first(), Some(Token::Sign(s)) if !["(", ")", "]", ","].contains(s)) {
            return None;
        }
        ops.push(Step::Plain(Op::Among(count)));
        Some(ops)
    }

    fn container(&mut self) -> Option<Ops> {
        let mut ops = self.binary(0)?;
        ops.push(Step::Plain(Op::In));
        Some(ops)
    }

    fn binary(&mut self, level: usize) -> Option<Ops> {
        let Some(level_ops) = LEVELS.get(level) else { return self.unary() };
        let mut ops = self.binary(level + 1)?;
        while let Some((_, arithmetic)) = level_ops.iter().find(|(sign, _)| self.sign(sign)) {
            ops.extend(self.binary(level + 1)?);
            ops.push(Step::Plain(Op::Arithmetic((*arithmetic)?)));
        }
        Some(ops)
    }

    fn unary(&mut self) -> Option<Ops> {
        if self.sign("-") {
            let mut ops = self.deeper(Self::unary)?;
            ops.push(Step::Plain(Op::Negative));
            return Some(ops);
        }
        let mut ops = self.atom()?;
        loop {
            if self.sign(".") {
                let Some(Token::Word(name)) = self.tokens.first().cloned() else {
                    return None;
                };
                self.tokens = &self.tokens[1..];
                if KEYWORDS.contains(&name.as_str()) {
                    return None;
                }
                if !self.sign("(") {
                    ops.push(Step::Attribute(name));
                    continue;
                }
                let arguments = self.arguments()?;
                let op = match (name.as_str(), arguments.len()) {
                    ("startswith", 1) => Op::StartsWith,
                    ("endswith", 1) => Op::EndsWith,
                    ("get", 1) => Op::Get,
                    ("get", 2) => Op::GetOr,
                    ("strip", 0) => Op::Strip,
                    _ => return None,
                };
                ops.extend(arguments.into_iter().flatten());
                ops.push(Step::Plain(op));
            } else if self.sign("[") {
                let op = self.subscript(&mut ops)?;
                ops.push(Step::Plain(op));
            } else if matches!(self.tokens.first(), Some(Token::Sign("(" | "**"))) {
                return None;
            } else {
                return Some(ops);
            }
        }
    }

    /// What stands between brackets, behind the first of them, separated by commas.
    fn arguments(&mut self) -> Option<Vec<Ops>> {
        let mut all = Vec::new();
        while !self.sign(")") {
            if !all.is_empty() && !self.sign(",") {
                return None;
            }
            all.push(self.deeper(Self::either)?);
        }
        Some(all)
    }

    /// What stands in square brackets, behind the first of them.
    fn subscript(&mut self, ops: &mut Ops) -> Option<Op> {
        let (mut parts, mut slice) = (0, false);
        for part in [1, 2] {
            if !matches!(self.tokens.first()?, Token::Sign(":" | "]")) {
                ops.extend(self.deeper(Self::either)?);
                parts |= part;
            }
            if part == 1 {
                slice = self.sign(":");
                if !slice {
                    break;
                }
            }
        }
        if !self.sign("]") || !slice && parts == 0 {
            return None;
        }
        Some(if slice { Op::Slice(parts) } else { Op::Item })
    }

    /// A call of a builtin function, behind its first bracket: the function is named before its arguments, so that the name can be looked up.
    fn builtin(&mut self, name: &str) -> Option<Ops> {
        let before = self.tokens;
        if name == "isinstance" {
            let mut ops = self.deeper(Self::either)?;
            if self.sign(",") && self.sign("(") {
                // One of several classes: one after the other.
                let classes = self.arguments()?;
                if !self.sign(")") || classes.is_empty() {
                    return None;
                }
                let each = |class: Ops| [&ops[..], &class, &[Step::Plain(Op::IsInstance)]].concat();
                let mut parts: Vec<Ops> = classes.into_iter().map(each).collect();
                ops = parts.pop()?;
                while let Some(mut before) = parts.pop() {
                    before.push(Step::Plain(Op::Or(u32::try_from(ops.len()).ok()?)));
                    before.extend(ops);
                    ops = before;
                }
                return Some(ops);
            }
            self.tokens = before;
        }
        let arguments = self.arguments()?;
        let op = match (name, arguments.len()) {
            ("len", 1) => Op::Length,
            ("abs", 1) => Op::Absolute,
            ("type", 1) => Op::Type,
            ("isinstance", 2) => Op::IsInstance,
            ("min", 2) => Op::Least,
            ("max", 2) => Op::Greatest,
            _ => return None,
        };
        let mut ops: Ops = arguments.into_iter().flatten().collect();
        ops.push(Step::Plain(op));
        Some(ops)
    }

    fn atom(&mut self) -> Option<Ops> {
        if self.sign("(") {
            let ops = self.deeper(Self::either)?;
            return self.sign(")").then_some(ops);
        }
        let token = self.tokens.first()?.clone();
        self.tokens = &self.tokens[1..];
        let op = match token {
            Token::Integer(n) => Step::Plain(Op::Integer(n)),
            Token::Float(x) => Step::Plain(Op::Float(x.to_bits())),
            Token::Text(_) if matches!(self.tokens.first(), Some(Token::Text(_))) => return None,
            Token::Text(text) => Step::Text(text),
            Token::Word(word) => match word.as_str() {
                "None" => Step::Plain(Op::Nothing),
                "True" => Step::Plain(Op::Truth(true)),
                "False" => Step::Plain(Op::Truth(false)),
                "len" | "abs" | "type" | "isinstance" | "min" | "max" if self.sign("(") => return self.builtin(&word),
                word if KEYWORDS.contains(&word) => return None,
                word => (self.object)(word).unwrap_or_else(|| Step::Name(word.to_string())),
            },
            Token::Sign(_) => return None,
        };
        Some(vec![op])
    }
}

const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// From those that bind least to those that bind most; without an operation those that are left to the interpreter.
const LEVELS: [&[(&str, Option<Arithmetic>)]; 6] = [
    &[("|", Some(Arithmetic::Or))],
    &[("^", Some(Arithmetic::Xor))],
    &[("&", Some(Arithmetic::And))],
    &[("<<", None), (">>", None)],
    &[("+", Some(Arithmetic::Add)), ("-", Some(Arithmetic::Subtract))],
    &[
        ("*", Some(Arithmetic::Multiply)),
        ("//", Some(Arithmetic::FloorDivide)),
        ("%", Some(Arithmetic::Modulo)),
        ("/", None),
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(source: &str) -> Option<Vec<Step>> {
        let object = |name: &str| {
            (name == "__rdb_0").then_some(Step::Object {
                address: 7,
                from: rdb_protocol::Time(3),
                until: None,
            })
        };
        steps(source, &object)
    }

    fn name(name: &str) -> Step {
        Step::Name(name.to_string())
    }

    #[test]
    fn operands_come_before_operators() {
        let equal = Step::Plain(Op::Compare(Comparison::Equal));
        let less = Step::Plain(Op::Compare(Comparison::Less));
        let cases: Vec<(&str, Vec<Step>)> = vec![
            ("n == 20", vec![name("n"), Step::Plain(Op::Integer(20)), equal.clone()]),
            (
                "i % 30 == 0",
                vec![
                    name("i"),
                    Step::Plain(Op::Integer(30)),
                    Step::Plain(Op::Arithmetic(Arithmetic::Modulo)),
                    Step::Plain(Op::Integer(0)),
                    equal.clone(),
                ],
            ),
            (
                "1 < n < m",
                vec![
                    Step::Plain(Op::Integer(1)),
                    name("n"),
                    less.clone(),
                    Step::Plain(Op::And(3)),
                    name("n"),
                    name("m"),
                    less.clone(),
                ],
            ),
            (
                "a.b[0] is not None or not c",
                vec![
                    name("a"),
                    Step::Attribute("b".into()),
                    Step::Plain(Op::Integer(0)),
                    Step::Plain(Op::Item),
                    Step::Plain(Op::Nothing),
                    Step::Plain(Op::Compare(Comparison::IsNot)),
                    Step::Plain(Op::Or(2)),
                    name("c"),
                    Step::Plain(Op::Not),
                ],
            ),
            (
                "x not in ('a', \"b\")",
                vec![
                    name("x"),
                    Step::Text("a".into()),
                    Step::Text("b".into()),
                    Step::Plain(Op::Among(2)),
                    Step::Plain(Op::Not),
                ],
            ),
            (
                "(len(q) > -1)",
                vec![
                    name("q"),
                    Step::Plain(Op::Length),
                    Step::Plain(Op::Integer(1)),
                    Step::Plain(Op::Negative),
                    Step::Plain(Op::Compare(Comparison::Greater)),
                ],
            ),
            ("'a' in (s)", vec![Step::Text("a".into()), name("s"), Step::Plain(Op::In)]),
            (
                "s.startswith('x')",
                vec![name("s"), Step::Text("x".into()), Step::Plain(Op::StartsWith)],
            ),
            (
                "x > 0.5",
                vec![
                    name("x"),
                    Step::Plain(Op::Float(0.5_f64.to_bits())),
                    Step::Plain(Op::Compare(Comparison::Greater)),
                ],
            ),
            (
                "isinstance(x, (A, B))",
                vec![
                    name("x"),
                    name("A"),
                    Step::Plain(Op::IsInstance),
                    Step::Plain(Op::Or(3)),
                    name("x"),
                    name("B"),
                    Step::Plain(Op::IsInstance),
                ],
            ),
            ("s[:3]", vec![name("s"), Step::Plain(Op::Integer(3)), Step::Plain(Op::Slice(2))]),
            ("s[n:]", vec![name("s"), name("n"), Step::Plain(Op::Slice(1))]),
            (
                "d.get('k', 0)",
                vec![
                    name("d"),
                    Step::Text("k".into()),
                    Step::Plain(Op::Integer(0)),
                    Step::Plain(Op::GetOr),
                ],
            ),
            ("1e5", vec![Step::Plain(Op::Float(1e5_f64.to_bits()))]),
            (
                "a and b and c",
                vec![name("a"), Step::Plain(Op::And(3)), name("b"), Step::Plain(Op::And(1)), name("c")],
            ),
        ];
        for (source, ops) in cases {
            assert_eq!(parsed(source), Some(ops), "{source}");
        }
        assert!(matches!(parsed("__rdb_0.x").unwrap()[0], Step::Object { address: 7, .. }));
    }

    #[test]
    fn what_is_not_understood_is_for_the_interpreter() {
        let others = [
            "f(n)",
            "n ** 2",
            "2 ** n",
            "-n ** 2",
            "n / 2",
            "n << 2",
            "x if y else z",
            "lambda: 1",
            "a b",
            "n ==",
            "(n",
            "[n]",
            "(1, 2)",
            "(x := 3)",
            "f'{x}'",
            "'a' 'b'",
            "'''a'''",
            "'\\x41'",
            "0x10",
            "1_000",
            "1e",
            "1e-5",
            "e5.5",
            "s[]",
            "s[::2]",
            "d.get()",
            "d.get(1, 2, 3)",
            "isinstance(x, ())",
            "isinstance(x)",
            "min(x)",
            "type(x, y)",
            "abs(x",
            "010",
            "x in (1, 2) == True",
            "x in {1}",
            "x.y()",
            "größe",
            "s[1, 2]",
            "s.startswith(('a', 'b'))",
            "",
            "not",
            "a # b",
            "a\nb",
            "99999999999999999999",
            "await x",
            "x.startswith('a', 1)",
            "len(x, y)",
            "len (x)(y)",
            "x in y in z",
            "*a",
            "x in (1, 2)[0]",
            "x in ()",
        ];
        for source in others {
            let found = parsed(source);
            let allowed = source == "x in ()";
            assert_eq!(found.is_none(), !allowed, "{source}: {found:?}");
        }
        assert_eq!(parsed(&"(".repeat(10_000)), None);
        assert_eq!(parsed(&"not ".repeat(10_000)), None);
        assert_eq!(parsed(&vec!["a"; 100].join(" and ")), None);
    }

    #[test]
    fn a_chain_with_a_container_ends_there() {
        let ops = parsed("1 < x in y").unwrap();
        assert_eq!(ops.last(), Some(&Step::Plain(Op::In)));
    }

    #[test]
    fn names_are_kept_apart() {
        let predicate = predicate("a.b == 'c'", &|_| None).unwrap();
        assert_eq!(predicate.texts, ["a", "b", "c"]);
        let ops = [Op::Name(0), Op::Attribute(1), Op::Text(2), Op::Compare(Comparison::Equal)];
        assert_eq!(predicate.ops, ops);
    }
}
