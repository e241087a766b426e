//! Calendars in and out, with the real binary.

use crate::scratch::Node;

const TEAM: &str = "BEGIN:VCALENDAR\r
VERSION:2.0\r
X-WR-CALNAME:Team\r
PRODID:-//Example//Calendar//EN\r
BEGIN:VTIMEZONE\r
TZID:Custom\r
BEGIN:STANDARD\r
DTSTART:16010101T030000\r
TZOFFSETFROM:+0200\r
TZOFFSETTO:+0100\r
END:STANDARD\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
SUMMARY:Review\\, monthly\r
DTSTART;TZID=Europe/Berlin:20261201T100000\r
DTEND;TZID=Europe/Berlin:20261201T110000\r
ORGANIZER;CN=Ada:mailto:ada@example.org\r
ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.org\r
ATTENDEE:mailto:eve@example.net\r
RRULE:FREQ=MONTHLY;COUNT=6\r
EXDATE;TZID=Europe/Berlin:20270101T100000\r
UID:review\r
SEQUENCE:3\r
BEGIN:VALARM\r
ACTION:DISPLAY\r
TRIGGER:-PT15M\r
END:VALARM\r
END:VEVENT\r
BEGIN:VEVENT\r
SUMMARY:Holiday\r
DTSTART;VALUE=DATE:20261224\r
UID:holiday\r
END:VEVENT\r
END:VCALENDAR\r
";

#[test]
fn a_calendar_goes_back_as_it_came_but_for_what_was_edited() {
    let node = Node::with_workspace();
    let file = node.file("team.ics", TEAM);
    let shown = node.ok(&["import", &file, "--dry-run"]);
    assert!(shown.contains("4 calendar entries for the list team"), "{shown}");
    node.fails(&["import", &file, "--key", "uid"], 2, &["calendar entries have types of their own"]);
    node.ok(&["import", &file]);
    assert!(node.ok(&["import", &file]).contains("4 were there already"));

    let events = node.json(&["ls", "team", "--where", "kind == \"event\"", "--sort", "start", "--json"]);
    assert_eq!(events[0]["fields"]["start"], "2026-12-01T09:00:00Z[Europe/Berlin]");
    assert_eq!(events[0]["fields"]["attendees"][1]["email"], "eve@example.net");
    assert_eq!(events[0]["flags"], serde_json::json!([]));
    assert_eq!(events[1]["fields"]["all day"], true);

    assert_eq!(node.ok(&["export", "team", "--format", "ics"]), TEAM);

    let id = |at: usize| events[at]["id"].as_str().unwrap().to_owned();
    node.ok(&["set", "team", &id(0), "summary=Review", "organizer=-1;#bob@example.org"]);
    node.ok(&["set", "team", &id(1), "all day=false"]);
    let edited = node.ok(&["export", "team", "--format", "ics"]);
    let expect = TEAM
        .replace("SUMMARY:Review\\, monthly", "SUMMARY:Review")
        .replace("ORGANIZER;CN=Ada:mailto:ada@example.org", "ORGANIZER:mailto:bob@example.org")
        .replace("DTSTART;VALUE=DATE:20261224", "DTSTART:20261224T000000Z");
    assert_eq!(edited, expect);
}

#[test]
fn an_entry_that_was_made_here_is_in_a_calendar_too() {
    let node = Node::with_workspace();
    node.ok(&["import", &node.file("team.ics", TEAM)]);
    node.ok(&["new", "team", "summary=Lunch", "start=2026-12-03T11:00:00Z", "attendees=-1;#ada@example.org"]);
    let written = node.ok(&["export", "team", "--format", "ics"]);
    let own = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Tandem//Tandem//EN\r\nBEGIN:VEVENT\r\nSUMMARY:Lunch\r\n\
               DTSTART:20261203T110000Z\r\nATTENDEE:mailto:ada@example.org\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    assert_eq!(written, format!("{TEAM}{own}"));
    node.ok(&["import", &node.file("people.csv", "name\nAda\n")]);
    node.fails(&["export", "people", "--format", "ics"], 2, &["list people holds no calendar entries"]);
    node.fails(&["import", &node.file("empty.ics", "hello\n")], 1, &["holds no calendar (no line BEGIN:VCALENDAR)"]);
}
