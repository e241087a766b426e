//! Bounds what HTML may cost before it is parsed.
//!
//! A tag of emphasis that is never closed is opened again in every paragraph after it, as browsers do; so 64 KiB of hostile
//! HTML become 90 MB, and 10 seconds. Nested blocks cost the square of their depth. Both are counted here, by the parser's
//! own tokenizer, and rather too high than too low: a tag counts as closed only where its end tag comes right for it.

use html5ever::{
    buffer_queue::BufferQueue,
    tendril::StrTendril,
    tokenizer::{TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, states::RawKind},
};
use std::cell::RefCell;

/// Bytes of HTML that are parsed, at most. An event has no more.
pub(super) const HTML_BYTES_MAX: usize = 64 * 1024;

/// Open elements, at most; those that are never closed count for ever.
const DEPTH_MAX: usize = 200;

/// Open tags of emphasis, at most, by the same count.
const EMPHASIS_MAX: usize = 16;

/// Tags that are opened again in later paragraphs.
const EMPHASIS: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Elements without a content, and so without an end tag.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// Elements that need no end tag.
const ENDED_BY_OTHERS: [&str; 8] = ["dd", "dt", "li", "option", "p", "td", "th", "tr"];

fn is_ended(name: &str) -> bool {
    ENDED_BY_OTHERS.contains(&name)
}

/// Which of them end where an element begins that comes right behind.
fn is_ended_by(open: &str, name: &str) -> bool {
    match open {
        "p" => name == "p" || BLOCKS.contains(&name),
        "dd" | "dt" => matches!(name, "dd" | "dt"),
        "td" | "th" => matches!(name, "td" | "th" | "tr"),
        same => same == name,
    }
}

/// Elements that no paragraph has inside.
const BLOCKS: [&str; 18] = [
    "blockquote",
    "center",
    "div",
    "dl",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "ol",
    "pre",
    "section",
    "ul",
];

/// Whether it is short and flat enough to be parsed.
pub(super) fn is_cheap(html: &str) -> bool {
    html.len() <= HTML_BYTES_MAX && {
        let open = count(html);
        open.most <= DEPTH_MAX && open.most_emphasis <= EMPHASIS_MAX
    }
}

/// How deep HTML nests; exact where every element is closed.
pub(super) fn depth(html: &str) -> usize {
    count(html).most
}

fn count(html: &str) -> Open {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let tokenizer = Tokenizer::new(Count::default(), Default::default());
    // A sink that is no tree has no scripts to wait for.
    let _done = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.take()
}

#[derive(Default)]
struct Count(RefCell<Open>);

/// The elements that are open, outermost first.
#[derive(Default)]
struct Open {
    names: Vec<String>,
    emphasis: usize,
    most: usize,
    most_emphasis: usize,
    /// Inside of drawings and formulas other rules hold: from there on nothing counts as closed.
    is_foreign: bool,
}

impl Open {
    fn open(&mut self, name: &str) {
        while !self.is_foreign && self.names.last().is_some_and(|last| is_ended_by(last, name) && is_ended(last)) {
            self.names.pop();
        }
        if VOID.contains(&name) {
            return;
        }
        self.is_foreign |= matches!(name, "svg" | "math");
        // Enough is known.
        if self.names.len() <= DEPTH_MAX {
            self.names.push(name.to_owned());
        }
        self.emphasis += usize::from(EMPHASIS.contains(&name));
        self.most = self.most.max(self.names.len());
        self.most_emphasis = self.most_emphasis.max(self.emphasis);
    }

    fn close(&mut self, name: &str) {
        let inner = self.names.iter().rev().take_while(|open| is_ended(open) && *open != name).count();
        let at = self.names.len() - inner;
        if !self.is_foreign && at > 0 && self.names[at - 1] == name {
            self.names.truncate(at - 1);
            self.emphasis -= usize::from(EMPHASIS.contains(&name));
        }
    }
}

impl TokenSink for Count {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else { return TokenSinkResult::Continue };
        let mut open = self.0.borrow_mut();
        match tag.kind {
            TagKind::EndTag => open.close(&tag.name),
            TagKind::StartTag => {
                open.open(&tag.name);
                // As the tree would tell it: what is in these is text.
                return match &*tag.name {
                    _ if open.is_foreign => TokenSinkResult::Continue,
                    "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
                    "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
                    "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                    "plaintext" => TokenSinkResult::Plaintext,
                    _other => TokenSinkResult::Continue,
                };
            }
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_cheap_and_what_explodes_is_not() {
        let check = |html: &str, expect: bool| assert_eq!(is_cheap(html), expect, "{}", &html[..html.len().min(40)]);
        check("", true);
        check("<p>Hello <b>you</b><br>and <i>you</i></p>", true);
        check(&"<ul><li>a<li>b</ul>".repeat(500), true);
        check(&"<p>a<p>b<img src=x>".repeat(500), true);
        check(&"<table><tr><td>a<td>b<tr><td>c</table>".repeat(100), true);
        check(&"<p>a<div>b</div>".repeat(500), true);
        check(&"<b>x</b><!-- </b> --><i>y</i>".repeat(1000), true);
        check("<script>if (a<b) { x = '<b><b>' }</script>", true);
        check(&"<div>".repeat(1_000), false);
        check(&"<b><i></b>".repeat(20), false);
        check(&"<svg><b></b></svg>".repeat(20), false);
        check(&"<b><!--</b>-->".repeat(20), false);
        check(&"<b></i>".repeat(20), false);
        check(&"x".repeat(HTML_BYTES_MAX + 1), false);
        let many: String = (0..1_000).map(|number| format!("<b a={number}><p>")).collect();
        check(&many, false);
    }
}
