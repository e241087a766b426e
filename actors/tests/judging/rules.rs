//! Rules of the server's own, members' shares, and what is sent again.

use crate::party::{Party, codes, text};
use std::collections::BTreeMap;
use tandem_actors::{Command, authority::Policy, command::Resend, workspace::plain_cell};
use tandem_wire::Value;

#[test]
fn what_breaks_no_rule_is_accepted_and_what_the_binder_had_seen_is_not_judged() {
    let mut party = Party::new();
    party.rule("nothing", "false");
    let record = party.record(1);
    let made = party.bob.create(record, &[(party.name, text("x"))]);
    party.meet();
    assert_eq!(party.ada.codes(), BTreeMap::from([(made, ("RULE", "nothing".into()))]));
    let before = party.record(99);
    assert_eq!(party.ada.shows(before, party.name), Some(text("from before")));
    assert_eq!(party.server.core.judged(), (0, 1));
    party.server.core.set_policy(Policy::default());
    party.bob.create(party.record(2), &[(party.name, text("y"))]);
    party.meet();
    assert_eq!(party.server.core.judged(), (1, 1), "what was judged stays as it was");
}

#[test]
fn a_rule_sees_the_change_its_author_and_their_role() {
    let mut party = Party::new();
    party.rule("bob is shy", r#"author != "Bob" || before.name == null || before.name == name"#);
    party.rule("grown", "age == null || age >= 0");
    let record = party.record(1);
    party.bob.create(record, &[(party.name, text("x")), (party.age, Value::Int(1))]);
    party.meet();
    let by_bob = party.bob.set(record, party.name, text("y"));
    let aged = party.bob.set(record, party.age, Value::Int(2));
    let young = party.bob.set(record, party.age, Value::Int(-1));
    party.meet();
    let expect = [(by_bob, ("RULE", "bob is shy".to_owned())), (young, ("RULE", "grown".to_owned()))];
    assert_eq!(party.ada.codes(), expect.into());
    party.ada.set(record, party.name, text("z"));
    party.meet();
    assert_eq!(party.ada.codes().len(), 2);
    let shown = (party.bob.shows(record, party.name), party.bob.shows(record, party.age));
    assert_eq!(shown, (Some(text("z")), Some(Value::Int(2))), "{aged:?}");
}

#[test]
fn a_rule_that_cannot_be_evaluated_refuses_and_the_server_goes_on() {
    let mut party = Party::new();
    let long = r#"name.matches("^(a+)+$") && [1,2,3].all(x, [1,2,3].all(y, name.contains("b")))"#;
    party.rule("costly", long);
    let (bad, good) = (party.record(1), party.record(2));
    let huge = party.bob.create(bad, &[(party.name, text(&"b".repeat(60_000)))]);
    party.meet();
    let said = party.ada.codes();
    // Whatever it says of so long a text, it says it, and the next one is judged.
    assert!(said.get(&huge).is_none_or(|(code, _)| ["RULE", "RULE_FAILED"].contains(code)), "{said:?}");
    party.server.core.set_policy(Policy::default());
    party.bob.create(good, &[(party.name, text("x"))]);
    party.meet();
    assert_eq!(party.ada.shows(good, party.name), Some(text("x")));
}

#[test]
fn of_equal_resubmissions_one_counts() {
    let mut party = Party::new();
    party.rule("short", "name.size() < 4");
    let record = party.record(1);
    let bad = party.bob.create(record, &[(party.name, text("too long"))]);
    party.meet();
    let event = party.ada.refusals().into_iter().find(|refusal| refusal.refused.event.id == bad).unwrap().refused.event;
    let cell = plain_cell(record, party.name);
    let resend = |value: &str| {
        let values = vec![(cell.clone(), text(value))];
        Command::Resend(Resend { event, values, with_dependants: true, actor: None })
    };
    let one = party.bob.does(resend("ok")).events[0];
    let other = party.ada.does(resend("ok")).events[0];
    party.meet();
    let said = party.ada.codes();
    assert_eq!(said.values().map(|(code, _)| *code).collect::<Vec<_>>(), ["ALREADY_RESENT"]);
    assert!(said.contains_key(&one) != said.contains_key(&other));
    assert_eq!(party.bob.shows(record, party.name), Some(text("ok")));
    assert_eq!(party.ada.try_do(resend("yes")).map_err(|refused| refused.code()), Err("nothing-left"));
}

#[test]
fn what_is_beyond_a_members_share_is_refused_and_holds_up_nobody() {
    let mut party = Party::new();
    party.server.core.set_policy(Policy { bytes_a_member_and_day: Some(2_000), ..Policy::default() });
    let (small, large, after) = (party.record(1), party.record(2), party.record(3));
    party.bob.create(small, &[(party.name, text("x"))]);
    party.meet();
    let flood = party.bob.create(large, &[(party.name, text(&"x".repeat(3_000)))]);
    let built_on = party.bob.set(large, party.age, Value::Int(1));
    party.ada.create(after, &[(party.name, text("y"))]);
    party.meet();
    assert_eq!(party.ada.codes(), codes(&[(flood, "OVER_QUOTA"), (built_on, "DEPENDS_ON_REFUSED")]));
    assert_eq!(party.ada.shows(after, party.name), Some(text("y")));
    // The next day there is a new share.
    party.server.now_ms += 86_400_000;
    party.bob.create(party.record(4), &[(party.name, text(&"x".repeat(1_000)))]);
    party.meet();
    assert_eq!(party.ada.codes().len(), 2);
}
