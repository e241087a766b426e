//! Names in sources of CEL, after the field that was meant is called otherwise.

/// The source with every word `from` as `to`; what stands in quotes stays.
pub(super) fn rename(source: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => quoted(rest, first),
            '`' => {
                let length = quoted(rest, '`');
                if rest[..length].trim_matches('`') == from {
                    out.push_str(&written(to));
                    rest = &rest[length..];
                    continue;
                }
                length
            }
            char if is_word(char) => {
                let length = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
                // Behind a dot it is a part, or a function.
                if rest[..length] == *from && !out.trim_end().ends_with('.') {
                    out.push_str(&written(to));
                    rest = &rest[length..];
                    continue;
                }
                length
            }
            other => other.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// The length of what stands in quotes.
fn quoted(source: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, char) in source.char_indices().skip(1) {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' if quote != '`' => is_escaped = true,
            char if char == quote => return at + char.len_utf8(),
            _inside => {}
        }
    }
    source.len()
}

fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

fn written(name: &str) -> String {
    let is_plain = name.chars().all(is_word) && !name.starts_with(|char: char| char.is_ascii_digit());
    if is_plain { name.to_owned() } else { format!("`{name}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_renamed_and_texts_are_not() {
        let check = |source: &str, expect: &str| assert_eq!(rename(source, "due", "Due day"), expect);
        check("due > start && x.due == 1", "`Due day` > start && x.due == 1");
        check("`due` == \"due\" || 'due\\'due' == due", "`Due day` == \"due\" || 'due\\'due' == `Due day`");
        check("overdue || due2", "overdue || due2");
        check("\"", "\"");
        assert_eq!(rename("`Due day` > 1", "Due day", "due"), "due > 1");
    }
}
