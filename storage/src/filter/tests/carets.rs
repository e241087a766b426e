use super::*;

/// The code, and the source with what is marked in brackets.
fn fault(source: &str) -> (String, String, String) {
    let error = Filter::parse(source, &scope()).map(|_| ()).expect_err(source);
    let marked = source.get(error.span.clone()).unwrap_or_else(|| panic!("{source}: {:?}", error.span));
    (error.code().to_owned(), marked.to_owned(), error.message)
}

#[test]
fn faults_are_marked_where_they_are() {
    let check = |source: &str, code: &str, marked: &str, says: &str| {
        let (is, at, message) = fault(source);
        assert_eq!((is.as_str(), at.as_str()), (code, marked), "{source}: {message}");
        assert!(message.contains(says), "{source}: {message}");
    };
    let unknown = "filter-unknown-field";
    check("populaton > 5", unknown, "populaton", "did you mean `population`? There are: active, population,");
    check("größe > 5 && grösse < 6", unknown, "grösse", "did you mean `größe`?");
    check("zzzz == 5", unknown, "zzzz", "; there are: active");
    check("field('home phone') == 'x'", unknown, "'home phone'", "did you mean ``Home phone``?");
    check("`Homephone` == 'x'", unknown, "`Homephone`", "did you mean");
    check("twin == 5", unknown, "twin", "two fields are called `twin`");
    check("tags.exists(t, u == 'x')", unknown, "u", "no field `u`");

    let ty = "filter-type";
    check(
        "population > \"x\"",
        ty,
        "\"x\"",
        "`population` is a whole number and cannot be compared with `\"x\"`, a text",
    );
    check("population > \"100\"", ty, "\"100\"", "; write 100 without quotes");
    check("country == 5", ty, "5", "; write \"5\" in quotes");
    check("größe > 'ä' && active", ty, "'ä'", "`größe` is a whole number");
    check("-5 < country", ty, "-5", "cannot be compared");
    check("country && active", ty, "country", "`country` is a text, where a condition is needed");
    check("active && country + 'x'", ty, "country + 'x'", "a text, where a condition");
    check("population", ty, "population", "such as `population == …`");
    check("name > null", ty, ">", "nothing is less or greater than null");
    check("status < 'open'", ty, "<", "no order");
    check("photo == 'x'", ty, "photo", "only be compared with null");
    check("tags == 'x'", ty, "tags", "`tags` holds many; write `x in tags`");
    check("address == 'x'", ty, "address", "made of parts; name one of them, such as `address.street`");
    check("address in ['x']", ty, "address", "made of parts");
    check("'x' in [address]", ty, "address", "made of parts");
    check("phones.exists(p, p == 'x')", ty, "p", "made of parts; name one of them, such as `p.number`");
    check("phones.kind == 'x'", ty, "kind", "phones.exists(x, x.kind == …)");
    check("country.city == 'x'", ty, "city", "has no part `city`");
    check("population.startsWith('1')", ty, "population", "which `startsWith` does not take");
    check("country.startsWith(1)", ty, "1", "which `startsWith` does not take");
    check("country in 'IR'", ty, "'IR'", "`in` looks into a list");
    check("country in [1, 2]", ty, "[1, 2", "cannot be compared");
    check("country in ['a', 1]", ty, "1", "what is before it in the list is a text");
    check("active ? 1 : 'x'", ty, "'x'", "both outcomes must be alike");
    check("country + 1 == 'x'", ty, "+", "takes no");
    check("population.exists(x, true)", ty, "population", "go through what holds many");
    check("seen.getHours('Asia/Tehran') == 1", ty, "getHours", "times are in UTC");

    let literal = "filter-literal";
    check("born > '2024-13-01'", literal, "'2024-13-01'", "is not a date, such as");
    check("took > 'long'", literal, "'long'", "is not a duration");
    check("status == 'opne'", literal, "'opne'", "did you mean `\"open\"`? There are: \"open\", \"done\"");
    check("owner == 'x'", literal, "'x'", "32 hexadecimal digits");
    check("seen > timestamp('x')", literal, "'x'", "write it like `timestamp(\"2024-05-01T10:30:00Z\")`");

    let function = "filter-unknown-function";
    check("country.startWith('I')", function, "startWith", "did you mean `startsWith`?");
    check("lenght(country) == 2", function, "lenght", "there is no function `lenght`");

    let syntax = "filter-syntax";
    check("population > ", syntax, "", "missing at the end");
    check("", syntax, "", "empty");
    check("   ", syntax, "   ", "empty");
    check("population = 5", syntax, "=", "write `==` here");
    check("active and active", syntax, "and", "write `&&` here");
    check("active & active", syntax, "&", "write `&&` here");
    check("active OR active", syntax, "OR", "write `||` here");
    check("not active", syntax, "not", "write `!` here");
    check("country is null", syntax, "is", "write `==` here");
    check("country like 'x%'", syntax, "like", "`x.startsWith(…)`");
    check("country not in ['x']", syntax, "not", "write `!(x in …)`");
    check("population > > 5", syntax, ">", "`>` cannot stand here");
    check("country in ['a',, 'b']", syntax, ",", "`,` cannot stand here");
    check("tags.exists(1, true)", syntax, "1", "take a name for the element first");
    check("tags.exists(t)", syntax, "exists", "written `many.exists(x, …)`");
    check("has(population)", syntax, "population", "when it is `!= null`");
    check("country == 'a\\q'", syntax, "'a\\q'", "no escape");
    check("population == 1ä", syntax, "1ä", "is no number");
    check("address..city == 'x'", syntax, ".", "a name is missing behind the `.`");
    check("address.?city == 'x'", syntax, ".", "left out of filters");
    check("population <> 5", syntax, "<>", "write `!=` here");
    check("country == “IR”", syntax, "“", "straight quote");
    check("country == 'IR", syntax, "'IR", "no closing quote");
    check("(active", syntax, "(", "`(` is never closed");
    check("active)", syntax, ")", "`)` closes nothing");
    check("(active]", syntax, "]", "`]` does not close the `(`");
    check("`x", syntax, "`", "never ends");
    check("active active", syntax, "active", "is an operator missing before it?");
    check("population > 99999999999999999999", syntax, "99999999999999999999", "beyond the whole numbers of 64 bits");
    check("for > 5", syntax, "for", "written `field(\"for\")`");
    check("population > §5", syntax, "§", "cannot stand here");

    let unsupported = "filter-unsupported";
    check("{'a': 1}.a == 1", unsupported, "{", "no maps");
    check("country == b'IR'", unsupported, "b'IR'", "no bytes");
    check("tags.exists(ä, ä == 'x')", unsupported, "tags.exists(", "plain letters");

    let pattern = "filter-pattern";
    check("country.matches('(')", pattern, "'('", "this is no pattern: unclosed group");
    check("country.matches(name)", pattern, "name", "text in quotes");
}

#[test]
fn a_caret_of_each_kind() {
    let check = |source: &str, expect: &str| {
        let error = Filter::parse(source, &scope()).map(|_| ()).expect_err(source);
        assert_eq!(error.caret(source), expect, "{error}");
    };
    check("größe > 'ä' && active", "größe > 'ä' && active\n        ^^^");
    check("active &&\n  populaton > 5", "  populaton > 5\n  ^^^^^^^^^");
    check("population >", "population >\n            ^");
    check("country == 'a\u{7}b' && x", "country == 'a\\u{7}b' && x\n                        ^");
}
