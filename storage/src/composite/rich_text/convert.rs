//! HTML made harmless, Markdown and plain text of it, and HTML of these.

use super::gate;
use comrak::{
    Arena, Options, markdown_to_html,
    nodes::{AstNode, NodeValue},
    parse_document,
};

/// Open elements, at most, of HTML that is converted: the converter goes into each by a call.
const DEPTH_MAX: usize = 100;

/// How often cleaning may change what was cleaned.
const CLEANINGS_MAX: usize = 4;

/// Elements and attributes that do nothing: no scripts, no styles, no drawings. Nothing of what would cost too much.
pub(super) fn sanitised(html: &str) -> Option<String> {
    if !gate::is_cheap(html) {
        return None;
    }
    let mut clean = ammonia::clean(html);
    // Once more gives the same; where it does not, the parser sees something else in it than it wrote.
    for _ in 0..CLEANINGS_MAX {
        let again = ammonia::clean(&clean);
        if again == clean {
            return Some(clean);
        }
        clean = again;
    }
    None
}

/// As Markdown; nothing where it is nested too deeply.
pub(super) fn markdown(html: &str) -> Option<String> {
    let clean = sanitised(html)?;
    if gate::depth(&clean) > DEPTH_MAX {
        return None;
    }
    Some(htmd::convert(&clean).ok()?.trim().to_owned())
}

/// Without any emphasis, a line for each paragraph.
pub(super) fn text(html: &str) -> Option<String> {
    let markdown = markdown(html)?;
    let arena = Arena::new();
    let root = parse_document(&arena, &markdown, &options());
    let mut text = String::new();
    put_text(root, &mut text);
    Some(text.trim().to_owned())
}

/// HTML of Markdown; HTML in it is left out. Nothing where it is nested too deeply.
pub(super) fn from_markdown(markdown: &str) -> Option<String> {
    Some(sanitised(&markdown_to_html(markdown, &options()))?.trim().to_owned())
}

/// HTML of plain text: a paragraph for each line.
pub(super) fn from_text(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| format!("<p>{}</p>", escaped(line))).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.strikethrough = true;
    options.extension.table = true;
    options
}

fn put_text<'a>(node: &'a AstNode<'a>, text: &mut String) {
    let is_block = node.data.borrow().value.block();
    match &node.data.borrow().value {
        NodeValue::Text(piece) => text.push_str(piece),
        NodeValue::Code(code) => text.push_str(&code.literal),
        NodeValue::CodeBlock(block) => text.push_str(&block.literal),
        NodeValue::SoftBreak => text.push(' '),
        NodeValue::LineBreak => text.push('\n'),
        _without_text => {}
    }
    node.children().for_each(|child| put_text(child, text));
    if is_block && !text.ends_with('\n') && !text.is_empty() {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_markdown_and_text() {
        let html = "<div><h1>Hi</h1><p>Hello <b>you</b> &amp; <a href=\"https://x.org\">me</a><br>there</p>\
                    <ul><li>a</li><li>b</li></ul></div>";
        assert_eq!(markdown(html).unwrap(), "# Hi\n\nHello **you** & [me](https://x.org)  \nthere\n\n*   a\n*   b");
        assert_eq!(text(html).unwrap(), "Hi\nHello you & me\nthere\na\nb");
    }

    #[test]
    fn nothing_in_it_is_ever_run() {
        let hostile = [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<svg><script>alert(1)</script></svg>",
            "<p style=\"background:url(javascript:x)\">x</p>",
            "<style>@import 'x'</style>",
            "<iframe src=x></iframe>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
            "<form action=x><input></form>",
        ];
        for html in hostile {
            let clean = sanitised(html).unwrap().to_lowercase();
            let odd = ["script", "onerror", "style", "<svg", "<iframe", "<math", "<form", "<input", "alert(1)>"];
            assert!(odd.iter().all(|odd| !clean.contains(odd)), "{html}: {clean}");
        }
        assert!(!from_markdown("<script>alert(1)</script> [x](javascript:alert(1))").unwrap().contains("script"));
        assert_eq!(from_text("a < b & c\n\nd"), "<p>a &lt; b &amp; c</p><p>d</p>");
    }

    #[test]
    fn markdown_that_nests_deeply_is_read_within_the_stack() {
        for piece in [">", "[", "*", "_a", "- ", "`", "![", "<b>", "(", "1. ", "~~", "|a|\n|-|\n"] {
            let html = from_markdown(&piece.repeat(48 * 1024 / piece.len())).unwrap_or_default();
            let _ = (markdown(&html), text(&html));
        }
    }
}
