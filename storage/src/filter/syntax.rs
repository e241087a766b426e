//! From text to the parser's tree, with the place of each node.
//!
//! The text is scanned once before the parser sees it, which bounds size and depth. The scan also lets names be written
//! that CEL has no form for (`größe`, `` `Home phone` ``): the parser gets underscores of the same length in their place,
//! and [`Syntax::word_at`] gives the name back.

use super::{
    error::{Fault, FilterError, floor, quoted, shown},
    limits::*,
};
use crate::guard::guarded;
use cel::{
    common::ast::{IdedExpr, SourceInfo},
    parser::PrattParser,
};
use std::{ops::Range, sync::Arc};

/// A filter that is well formed; what it means is open.
pub(super) struct Syntax<'s> {
    source: &'s str,
    pub(super) root: IdedExpr,
    places: Arc<SourceInfo>,
    words: Vec<Range<usize>>,
}

impl<'s> Syntax<'s> {
    /// Reads a source within the limits.
    pub(super) fn parse(source: &'s str) -> Result<Self, FilterError> {
        let Scan { masked, words } = Scan::of(source)?;
        let failed = |panicked: crate::guard::Panicked| {
            let message = format!("the parser failed on this filter ({panicked}); write it in another way");
            FilterError::new(Fault::RuleFailed, 0..source.len(), message)
        };
        let root = match guarded(|| parser().parse(&masked)).map_err(failed)? {
            Ok(root) => root,
            Err(errors) => return Err(syntax_error(source, &errors.errors)),
        };
        // The parser says where nodes are only when it fails: a second pass, made to fail behind the end.
        let places = guarded(|| parser().parse(&format!("{masked}\n)"))).map_err(failed)?;
        let places = places.err().and_then(|errors| errors.errors.into_iter().find_map(|error| error.source_info));
        let places = places.ok_or_else(|| {
            FilterError::new(Fault::RuleFailed, 0..source.len(), "the parser does not say where its nodes are")
        })?;
        Ok(Self { source, root, places, words })
    }

    /// The token of a node: its name or literal, its operator, the bracket of a call.
    pub(super) fn span(&self, node: u64) -> Range<usize> {
        span_of(self.source, &self.places, node).unwrap_or(0..self.source.len())
    }

    /// The name that is written at or after a byte, without its back quotes, and where it is.
    pub(super) fn word_at(&self, at: usize) -> (&'s str, Range<usize>) {
        let word = self.words.iter().find(|word| word.start >= at).cloned().unwrap_or(at..at);
        let text = self.source.get(word.clone()).unwrap_or("");
        (text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap_or(text), word)
    }

    pub(super) fn source(&self) -> &'s str {
        self.source
    }
}

/// Whether a name was written in a way that the parser did not see: what stands for such names is underscores alone.
pub(super) fn is_mask(name: &str) -> bool {
    name.chars().all(|char| char == '_')
}

fn parser() -> PrattParser {
    // Deeper than the scan lets through.
    PrattParser::default().max_recursion_depth(2 * DEPTH_MAX as u16)
}

/// What a first look at the text gives.
struct Scan {
    masked: String,
    words: Vec<Range<usize>>,
}

impl Scan {
    fn of(source: &str) -> Result<Self, FilterError> {
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("the filter has {} bytes; at most {SOURCE_BYTES_MAX} are allowed", source.len());
            return Err(FilterError::new(Fault::TooCostly, 0..0, message));
        }
        if source.trim().is_empty() {
            let message = "the filter is empty; write a condition, such as `population > 100000`";
            return Err(FilterError::new(Fault::Syntax, 0..source.len(), message));
        }
        let mut scan = Self { masked: String::with_capacity(source.len()), words: Vec::new() };
        let mut open: Vec<(&str, usize)> = Vec::new();
        let (mut at, mut tokens, mut conditions) = (0, 0, 0);
        while at < source.len() {
            let (kind, end) = token(source, at)?;
            let text = &source[at..end];
            match kind {
                Token::Word => {
                    scan.words.push(at..end);
                    check_word(source, at, text)?;
                }
                Token::Sign => check_sign(source, at, text)?,
                Token::Blank | Token::Literal => {}
            }
            match text {
                "(" | "[" | "{" => {
                    open.push((text, at));
                    if open.len() > DEPTH_MAX {
                        let message = format!("brackets nest deeper than {DEPTH_MAX}");
                        return Err(FilterError::new(Fault::TooCostly, at..end, message));
                    }
                }
                ")" | "]" | "}" => close(&mut open, text, at..end)?,
                "?" => {
                    conditions += 1;
                    if conditions > DEPTH_MAX {
                        let message = format!("more than {DEPTH_MAX} conditions of the form `a ? b : c`");
                        return Err(FilterError::new(Fault::TooCostly, at..end, message));
                    }
                }
                _ => {}
            }
            if kind == Token::Word && (text.starts_with('`') || !text.is_ascii()) {
                scan.masked.extend(std::iter::repeat_n('_', text.len()));
            } else {
                scan.masked.push_str(text);
            }
            tokens += usize::from(kind != Token::Blank);
            if tokens > TOKENS_MAX {
                return Err(too_many_nodes(at..end));
            }
            at = end;
        }
        if let Some((bracket, at)) = open.last() {
            let message = format!("`{bracket}` is never closed");
            return Err(FilterError::new(Fault::Syntax, *at..at + 1, message));
        }
        Ok(scan)
    }
}

pub(super) fn too_many_nodes(span: Range<usize>) -> FilterError {
    FilterError::new(
        Fault::TooCostly,
        span,
        format!("the filter has more than {NODES_MAX} names, values and operators"),
    )
}

fn close(open: &mut Vec<(&str, usize)>, text: &str, span: Range<usize>) -> Result<(), FilterError> {
    match open.pop() {
        Some((bracket, _)) if ["()", "[]", "{}"].contains(&&*format!("{bracket}{text}")) => Ok(()),
        Some((bracket, _)) => {
            Err(FilterError::new(Fault::Syntax, span, format!("`{text}` does not close the `{bracket}` before it")))
        }
        None => Err(FilterError::new(Fault::Syntax, span, format!("`{text}` closes nothing"))),
    }
}

/// Slips of those who write SQL or spreadsheets.
fn check_sign(source: &str, at: usize, sign: &str) -> Result<(), FilterError> {
    let (length, instead) = match sign {
        "=" => (1, "`==`"),
        "&" => (1, "`&&`"),
        "|" => (1, "`||`"),
        "<" if source[at + 1..].starts_with('>') => (2, "`!=`"),
        "“" | "”" | "„" | "‘" | "’" => (sign.len(), "a straight quote, `\"`"),
        _ => return Ok(()),
    };
    Err(FilterError::new(Fault::Syntax, at..at + length, format!("write {instead} here")))
}

fn check_word(source: &str, at: usize, word: &str) -> Result<(), FilterError> {
    let instead = match word {
        "AND" | "and" if is_between(source, at, word) => "`&&`",
        "OR" | "or" if is_between(source, at, word) => "`||`",
        "NOT" | "not" if is_between(source, at, word) && after(source, at, word).starts_with("in ") => {
            "`!(x in …)` for `x not in …`:"
        }
        "NOT" | "not" if is_before_word(source, at, word) => "`!`",
        "IS" | "is" if is_between(source, at, word) => "`==`",
        "LIKE" | "like" if is_between(source, at, word) => "`x.startsWith(…)`, `x.contains(…)` or `x.matches(…)`",
        _ => return Ok(()),
    };
    Err(FilterError::new(Fault::Syntax, at..at + word.len(), format!("write {instead} here")))
}

/// Whether a word stands where only an operator can: behind a value and before one.
fn is_between(source: &str, at: usize, word: &str) -> bool {
    let ends_value = |char: char| char.is_alphanumeric() || "_`\"')]}".contains(char);
    let starts_value = |char: char| char.is_alphanumeric() || "_`\"'([!-".contains(char);
    source[..at].trim_end().ends_with(ends_value) && after(source, at, word).starts_with(starts_value)
}

fn is_before_word(source: &str, at: usize, word: &str) -> bool {
    let after = after(source, at, word);
    after.starts_with(|char: char| char.is_alphabetic() || char == '`') && !after.starts_with("in ")
}

fn after<'s>(source: &'s str, at: usize, word: &str) -> &'s str {
    source[at + word.len()..].trim_start()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// White space or a comment.
    Blank,
    /// A number or a text.
    Literal,
    /// A name, in back quotes or without.
    Word,
    /// Everything else.
    Sign,
}

/// The token that starts at a byte, and where it ends.
fn token(source: &str, at: usize) -> Result<(Token, usize), FilterError> {
    let rest = &source[at..];
    let char = rest.chars().next().expect("there is more");
    let run = |belongs: fn(char) -> bool| at + rest.find(|char| !belongs(char)).unwrap_or(rest.len());
    if rest.starts_with("//") {
        return Ok((Token::Blank, at + rest.find('\n').unwrap_or(rest.len())));
    }
    match text_length(rest) {
        Some(Some(length)) => return Ok((Token::Literal, at + length)),
        Some(None) => {
            let message = "the text that starts here has no closing quote";
            return Err(FilterError::new(Fault::Syntax, at..source.len(), message));
        }
        None => {}
    }
    if char == '`' {
        return match rest[1..].find(['`', '\n']) {
            Some(end) if end > 0 && rest[1 + end..].starts_with('`') => Ok((Token::Word, at + end + 2)),
            _ => Err(FilterError::new(Fault::Syntax, at..at + 1, "the name in back quotes is empty or never ends")),
        };
    }
    if is_blank(char) {
        return Ok((Token::Blank, run(is_blank)));
    }
    if char.is_ascii_digit() {
        return Ok((Token::Literal, run(|char| char.is_ascii_alphanumeric() || char == '.')));
    }
    if char == '_' || char.is_alphabetic() {
        return Ok((Token::Word, run(|char| char == '_' || char.is_alphanumeric() || is_mark(char))));
    }
    if ["==", "!=", "<=", ">=", "&&", "||"].iter().any(|pair| rest.starts_with(pair)) {
        return Ok((Token::Sign, at + 2));
    }
    if "()[]{}.,?:!<>+-*/%=&|“”„‘’".contains(char) {
        return Ok((Token::Sign, at + char.len_utf8()));
    }
    let message = format!("`{}` cannot stand here", shown(&char.to_string()));
    Err(FilterError::new(Fault::Syntax, at..at + char.len_utf8(), message))
}

/// Bytes of the text literal at the start, if there is one; inside, nothing if it has no end.
fn text_length(rest: &str) -> Option<Option<usize>> {
    let prefix = rest.find(['"', '\'']).filter(|at| *at <= 2)?;
    let letters = rest[..prefix].to_ascii_lowercase();
    if !["", "r", "b", "rb", "br"].contains(&letters.as_str()) {
        return None;
    }
    let is_raw = letters.contains('r');
    let body = &rest[prefix..];
    let quote = &body[..1];
    let quotes = if body.starts_with(&quote.repeat(3)) { quote.repeat(3) } else { quote.to_owned() };
    let mut at = quotes.len();
    while at < body.len() {
        if body[at..].starts_with(&quotes) {
            return Some(Some(prefix + at + quotes.len()));
        }
        let escapes = !is_raw && body[at..].starts_with('\\');
        let mut chars = body[at..].chars();
        at += chars.next().map_or(1, char::len_utf8);
        if escapes {
            at += chars.next().map_or(0, char::len_utf8);
        }
    }
    Some(None)
}

/// What the parser passes over.
fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n' | '\u{b}' | '\u{c}')
}

/// What continues a name besides letters and digits: accents that some systems write apart, and joiners.
fn is_mark(char: char) -> bool {
    matches!(char, '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}')
}

/// Where the parser puts a node, in whole characters.
fn span_of(source: &str, places: &SourceInfo, node: u64) -> Option<Range<usize>> {
    let (start, end) = places.offset_for(node)?;
    let end = (end as usize).min(source.len());
    let start = floor(source, (start as usize).min(end));
    Some(start..(end..source.len()).find(|at| source.is_char_boundary(*at)).unwrap_or(source.len()))
}

/// The parser's first complaint in our words.
fn syntax_error(source: &str, errors: &[cel::ParseError]) -> FilterError {
    if errors.iter().any(|error| error.msg.contains("recursion limit")) {
        return FilterError::new(
            Fault::TooCostly,
            0..source.len(),
            format!("the filter nests deeper than {DEPTH_MAX}"),
        );
    }
    let Some(error) = errors.iter().find(|error| error.pos.0 > 0).or(errors.first()) else {
        return FilterError::new(Fault::Syntax, 0..source.len(), "this is no filter");
    };
    let span = error.source_info.as_ref().and_then(|places| span_of(source, places, error.expr_id));
    let span = span.unwrap_or_else(|| token_at(source, error.pos));
    let token = quoted(source[span.clone()].trim());
    let said = error.msg.trim_start_matches("Syntax error: ");
    let says = |words: &str| said.contains(words);
    let message = if says("expecting <EOF>") {
        format!("{token} cannot follow here; is an operator missing before it?")
    } else if span.start >= source.trim_end().len() {
        "something is missing at the end".to_owned()
    } else if says("reserved identifier") {
        let name = token.trim_matches('`');
        format!("{token} is a word of the language; a field of this name is written `field(\"{name}\")`")
    } else if says("invalid int literal") {
        format!("{token} is beyond the whole numbers of 64 bits")
    } else if says("literal missing digits") || says("trailing characters") || says("invalid double literal") {
        format!("{token} is no number")
    } else if says("unescape") || says("code point") || says("octal") {
        "what follows a `\\` in this text is no escape; write `\\\\`, or r\"…\" for a text as it stands".to_owned()
    } else if says("must be a simple name") {
        "`exists`, `all`, `map` … take a name for the element first, as in `exists(x, x != null)`".to_owned()
    } else if says("has() macro") {
        "`has` takes a part, as in `has(address.city)`; a field is there when it is `!= null`".to_owned()
    } else if says("identifier after '.'") {
        "a name is missing behind the `.`".to_owned()
    } else if says("unsupported syntax") {
        format!("{token} is left out of filters; a part of what is empty is null by itself")
    } else {
        format!("{token} cannot stand here")
    };
    FilterError::new(Fault::Syntax, span, message)
}

/// The token at a line and column, both from 1, the column in bytes.
fn token_at(source: &str, (line, column): (isize, isize)) -> Range<usize> {
    let before = usize::try_from(line - 1).unwrap_or(0);
    let line_start: usize = source.split_inclusive('\n').take(before).map(str::len).sum();
    let start = floor(source, line_start + usize::try_from(column - 1).unwrap_or(0));
    let end = if start < source.len() { token(source, start).map_or(source.len(), |(_, end)| end) } else { start };
    start..end
}
