//! What the rules need to know of a Rust file: its tokens with their lines, and the paths in it.
//!
//! Not a parser. Comments and literals are dropped, so a rule never trips over prose or a string;
//! `use` trees are unfolded; `super` and `self` are resolved from the file's place under `src`.
//! Not seen: what a macro makes up, and a path that hides behind an alias of its parent module
//! (the rules forbid importing such parents instead).

/// One word or sign of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The identifier, `::`, or a single sign.
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// Inside a module that exists for tests alone.
    pub(crate) test: bool,
}

/// One path of at least two segments, absolute as far as the file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// `crate`, `net`, `Lane`; a glob ends in `*`.
    pub(crate) segments: Vec<String>,
    /// Counted from 1.
    pub(crate) line: usize,
    /// Inside a module that exists for tests alone.
    pub(crate) test: bool,
}

/// One file, read once for all rules.
#[derive(Debug)]
pub(crate) struct Rust {
    /// All tokens in order.
    pub(crate) tokens: Vec<Token>,
    /// All paths in order.
    pub(crate) paths: Vec<Path>,
    /// Out-of-line modules that are declared for tests alone, as `crate::a::b`.
    pub(crate) test_modules: Vec<Vec<String>>,
}

impl Rust {
    /// Reads `text`, found at `path` (from the root of the repository, with `/`).
    pub(crate) fn read(path: &str, text: &str) -> Self {
        let mut tokens = tokenize(&blank(text));
        let elsewhere = |line: usize| {
            let name = text.lines().nth(line - 1)?.split('"').nth(1)?;
            Some(module_of(&format!("{}/{name}", path.rsplit_once('/')?.0)))
        };
        let (scopes, test_modules) = mark_modules(&mut tokens, &module_of(path), elsewhere);
        let paths = find_paths(&tokens, &scopes);
        Self { tokens, paths, test_modules }
    }
}

/// The module that a file under `src` is; files elsewhere are crates of their own.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let mut module = vec!["crate".to_owned()];
    if let Some(inner) = path.strip_prefix("src/").filter(|inner| !inner.starts_with("bin/")) {
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        module.extend(
            inner.split('/').filter(|part| *part != "mod" && *part != "lib").map(str::to_owned),
        );
    }
    module
}

/// `text` with comments and the insides of literals turned into spaces; lines stay where they are.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).unwrap_or(at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends, if one begins there.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => Some(find(chars, at, |c| c[0] == '\n')),
        '/' if next == Some('*') => Some(block_comment_end(chars, at)),
        '"' => Some(string_end(chars, at + 1)),
        'r' if !continues_word(chars, at) => raw_string_end(chars, at),
        '\'' if next == Some('\\') => Some(find(chars, at + 3, |c| c[0] == '\'') + 1),
        '\'' if chars.get(at + 2) == Some(&'\'') => Some(at + 3),
        _ => None,
    }
}

/// Whether the character before `at` belongs to the same word (`b` and `c` may stand before a raw string).
fn continues_word(chars: &[char], at: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let Some(before) = at.checked_sub(1).map(|i| chars[i]) else { return false };
    let prefix = matches!(before, 'b' | 'c') && !(at >= 2 && word(chars[at - 2]));
    word(before) && !prefix
}

/// The first index from `from` on at which `hit` holds for the rest, or the end.
fn find(chars: &[char], from: usize, hit: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|&i| hit(&chars[i..])).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0_usize, at);
    while i < chars.len() {
        match chars[i..] {
            ['/', '*', ..] => (depth, i) = (depth + 1, i + 2),
            ['*', '/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut i: usize) -> usize {
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let close = |rest: &[char]| {
        rest[0] == '"' && rest[1..].iter().take_while(|&&c| c == '#').count() >= hashes
    };
    Some((find(chars, open + 1, close) + 1 + hashes).min(chars.len()))
}

fn tokenize(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let word =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let len = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                _ => word,
            };
            tokens.push(Token { text: rest[..len].to_owned(), line: index + 1, test: false });
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

/// Marks the tokens of test modules; tells each token's module and the test modules in other files.
///
/// `elsewhere` is the module whose file the `path` attribute in a line names.
fn mark_modules(
    tokens: &mut [Token],
    file: &[String],
    elsewhere: impl Fn(usize) -> Option<Vec<String>>,
) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    // For each open brace: the module it opened, if it did, and whether it is for tests alone.
    let mut open: Vec<(Option<String>, bool)> = Vec::new();
    let (mut scopes, mut for_tests_elsewhere) = (Vec::with_capacity(tokens.len()), Vec::new());
    let mut for_tests = false;
    let mut pending = None;
    let mut at_path = None;
    for i in 0..tokens.len() {
        let module: Vec<String> =
            file.iter().chain(open.iter().filter_map(|(name, _)| name.as_ref())).cloned().collect();
        match tokens[i].text.as_str() {
            "#" if tokens.get(i + 1).is_some_and(|t| t.text == "[") => {
                for_tests |= is_cfg_test(&tokens[i + 2..]);
                if tokens.get(i + 2).is_some_and(|t| t.text == "path") {
                    at_path = elsewhere(tokens[i].line);
                }
            }
            "mod" => pending = tokens.get(i + 1).map(|t| t.text.clone()),
            "{" => {
                let test = for_tests && pending.is_some();
                open.push((pending.take(), test));
                for_tests = false;
            }
            "}" => {
                open.pop();
                for_tests = false;
            }
            ";" => {
                if let Some(name) = pending.take().filter(|_| for_tests) {
                    let named = || module.iter().cloned().chain([name]).collect();
                    for_tests_elsewhere.push(at_path.take().unwrap_or_else(named));
                }
                (for_tests, at_path) = (false, None);
            }
            _ => {}
        }
        tokens[i].test = open.iter().any(|(_, test)| *test);
        scopes.push(module);
    }
    (scopes, for_tests_elsewhere)
}

/// Whether the attribute whose inside begins here is a `cfg` that asks for tests.
fn is_cfg_test(inside: &[Token]) -> bool {
    let mut depth = 0;
    let end = inside.iter().position(|token| {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" => depth -= 1,
            _ => {}
        }
        depth < 0
    });
    let words: Vec<&str> =
        inside[..end.unwrap_or(inside.len())].iter().map(|token| token.text.as_str()).collect();
    words.first() == Some(&"cfg")
        && words.contains(&"test")
        && !words.iter().any(|w| matches!(*w, "not" | "any"))
}

fn find_paths(tokens: &[Token], scopes: &[Vec<String>]) -> Vec<Path> {
    let mut paths = Vec::new();
    let is = |i: usize, text: &str| tokens.get(i).is_some_and(|token| token.text == text);
    for i in 0..tokens.len() {
        let used = i > 0 && is(i - 1, "use");
        // In `a::b::c` only `a` begins a path; in `use ::std` the `std` does.
        let begins =
            is_word(&tokens[i]) && !(i > 0 && is(i - 1, "::") && !(i > 1 && is(i - 2, "use")));
        let group = used && is(i, "{");
        if group || (begins && is(i + 1, "::")) {
            let mut found = Vec::new();
            unfold(tokens, i, &mut Vec::new(), &mut found);
            for mut path in found {
                path.segments = resolve(path.segments, &scopes[i]);
                if path.segments.len() > 1 {
                    paths.push(path);
                }
            }
        }
    }
    paths
}

fn is_word(token: &Token) -> bool {
    token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Unfolds the path or tree that begins at `i` under `prefix`; returns the index behind it.
fn unfold(
    tokens: &[Token],
    mut i: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<Path>,
) -> usize {
    let before = prefix.len();
    let mut line = 0;
    let mut test = false;
    let mut whole = false;
    while let Some(token) = tokens.get(i) {
        if is_word(token) || token.text == "*" {
            prefix.push(token.text.clone());
            (line, test, whole) = (token.line, token.test, true);
            i += 1;
        } else if token.text == "{" {
            whole = false;
            i += 1;
            while tokens.get(i).is_some_and(|token| token.text != "}") {
                let next = unfold(tokens, i, prefix, found);
                // Past an `as name` and the comma; a sign that fits nowhere is stepped over.
                let comma =
                    tokens[next..].iter().position(|t| matches!(t.text.as_str(), "," | "}"));
                i = next + comma.unwrap_or(tokens.len() - next);
                if tokens.get(i).is_some_and(|token| token.text == ",") {
                    i += 1;
                }
            }
            i += 1;
        }
        let more =
            tokens.get(i + 1).is_some_and(|t| is_word(t) || matches!(t.text.as_str(), "*" | "{"));
        if tokens.get(i).is_none_or(|token| token.text != "::") || !more {
            break;
        }
        i += 1;
    }
    if whole {
        found.push(Path { segments: prefix.clone(), line, test });
    }
    prefix.truncate(before);
    i
}

/// `segments` with leading `self` and `super` replaced by the module they stand for.
fn resolve(mut segments: Vec<String>, scope: &[String]) -> Vec<String> {
    // `use a::{self, b}` names `a`.
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    if !matches!(segments[0].as_str(), "self" | "super") {
        return segments;
    }
    let mut module = scope.to_vec();
    let mut rest = segments.as_slice();
    while let [first, tail @ ..] = rest {
        match first.as_str() {
            "super" => drop(module.pop()),
            "self" => {}
            _ => break,
        }
        rest = tail;
    }
    module.extend_from_slice(rest);
    module
}
