//! The walk over the parsed file: each key is looked up in the table of keys, unknown ones are errors.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::key::{KEYS, Key, Unfit, shorten};
use crate::{Config, ConfigError};

impl Config {
    /// The configuration that a TOML text describes; what it leaves out keeps its default.
    ///
    /// Keys may come in any order and form that TOML allows. Unknown keys, wrong types and values out of range
    /// are errors that name the key and the line; of several, the first by the order of keys is reported.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::from_toml_with_keys(text).map(|(config, _)| config)
    }

    /// The same, and the keys that the text sets, each as its section and name: `log.level`.
    pub fn from_toml_with_keys(text: &str) -> Result<(Self, Vec<&'static str>), ConfigError> {
        let root = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            reason: error.message().lines().collect::<Vec<_>>().join(", "),
        })?;
        let mut config = Self::default();
        let mut walk = Walk { text, config: &mut config, keys: Vec::new() };
        walk.table("", root.get_ref())?;
        let keys = walk.keys;
        Ok((config, keys))
    }

    /// Every key with its value as the file would have it, without quotes; none where it has no default.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        KEYS.iter().map(|key| (key.path, (key.get)(self)))
    }
}

struct Walk<'a> {
    text: &'a str,
    config: &'a mut Config,
    keys: Vec<&'static str>,
}

impl Walk<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (name, value) in table {
            let path =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            if let Some(key) = KEYS.iter().find(|key| key.path == path) {
                self.value(key, value)?;
            } else if is_section(&path) {
                let table = value.get_ref().as_table();
                self.table(&path, table.ok_or_else(|| self.wrong_type(&path, value, "a section".to_owned()))?)?;
            } else {
                let line = line_at(self.text, name.span().start);
                return Err(ConfigError::UnknownKey { key: printable(&path), line, nearest: nearest(&path) });
            }
        }
        Ok(())
    }

    fn value(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        self.keys.push(key.path);
        (key.set)(self.config, value.get_ref()).map_err(|unfit| match unfit {
            Unfit::Type { allowed } => self.wrong_type(key.path, value, allowed),
            Unfit::Value { value: written, allowed } => ConfigError::NotAllowed {
                key: key.path.to_owned(),
                line: line_at(self.text, value.span().start),
                value: written,
                allowed,
            },
        })
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, allowed: String) -> ConfigError {
        ConfigError::WrongType {
            key: key.to_owned(),
            line: line_at(self.text, value.span().start),
            found: type_name(value.get_ref()),
            allowed,
        }
    }
}

fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The known key or section that looks most like `path`, also one that stands elsewhere.
fn nearest(path: &str) -> Option<&'static str> {
    /// Below this likeness (0 to 1) a suggestion confuses more than it helps.
    const LIKENESS_MIN: f64 = 0.5;
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness = |known: &str| {
        let whole = strsim::normalized_damerau_levenshtein(path, known);
        whole.max(strsim::normalized_damerau_levenshtein(&last(path), &last(known)))
    };
    let sections = KEYS.iter().filter_map(|key| key.path.split_once('.')).map(|(section, _)| section);
    let scored = KEYS.iter().map(|key| key.path).chain(sections).map(|known| (known, likeness(known)));
    scored.filter(|(_, score)| *score >= LIKENESS_MIN).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(known, _)| known)
}

fn printable(path: &str) -> String {
    shorten(path).escape_debug().to_string()
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a section",
    }
}

pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{Log, LogFormat, LogLevel, Network, Storage, Workspace};

    const SAMPLE: &str = include_str!("../tandem.toml");

    #[test]
    fn an_empty_text_is_the_defaults() {
        for text in ["", "\n# nothing\n", "[storage]\n[log]\n"] {
            assert_eq!(Config::from_toml(text), Ok(Config::default()), "{text:?}");
        }
    }

    #[test]
    fn every_key_is_read_into_its_own_place() {
        let text = "data_dir = '/srv/tandem'\n\
                    log = { level = 'trace', format = 'json' }\n\
                    [storage]\ncache_mb = 9\nwrite_buffer_mb = 0x0a\ndisk_free_mb_min = 0\n\
                    [workspace]\nmailbox_messages_max = 16\ngroup_events_max = 1\n\
                    [network]\nlisten = '[::1]:9'\ndiscovery = false\nrelay = 'https://r.example'\n";
        let expect = Config {
            data_dir: Some(PathBuf::from("/srv/tandem")),
            storage: Storage { cache_mb: 9, write_buffer_mb: 10, disk_free_mb_min: 0 },
            workspace: Workspace { mailbox_messages_max: 16, group_events_max: 1 },
            network: Network {
                listen: Some("[::1]:9".parse().unwrap()),
                discovery: false,
                relay: Some("https://r.example".into()),
            },
            log: Log { level: LogLevel::Trace, format: LogFormat::Json },
        };
        assert_eq!(Config::from_toml(text), Ok(expect));
    }

    #[test]
    fn errors_name_key_line_value_and_what_is_allowed() {
        let check = |text: &str, message: &str| {
            let error = Config::from_toml(text).expect_err(text);
            assert_eq!(error.to_string(), message, "{text:?}");
            assert!(message.starts_with(&format!("line {}: ", error.line())), "{message}");
        };
        let cases = [
            (
                "\n[storage]\ncahce_mb = 1",
                "line 3: there is no key `storage.cahce_mb`; did you mean `storage.cache_mb`?",
            ),
            ("cache_mb = 64", "line 1: there is no key `cache_mb`; did you mean `storage.cache_mb`?"),
            ("[storag]\ncache_mb = 64", "line 1: there is no key `storag`; did you mean `storage`?"),
            (
                "[log]\nlevel = 'warn'\ncolour = true",
                "line 3: there is no key `log.colour`; did you mean `log.format`?",
            ),
            ("\"a\\u001b[2J\" = 1", "line 1: there is no key `a\\u{1b}[2J`; take the line out"),
            ("[storage]\ncache_mb = 7", "line 2: `storage.cache_mb` is 7; it takes a whole number from 8 to 65536"),
            (
                "[storage]\n\ncache_mb = -64",
                "line 3: `storage.cache_mb` is -64; it takes a whole number from 8 to 65536",
            ),
            (
                "storage.cache_mb = 99999999999999999999999",
                "line 1: `storage.cache_mb` is 99999999999999999999999; it takes a whole number from 8 to 65536",
            ),
            (
                "[workspace]\ngroup_events_max = 257",
                "line 2: `workspace.group_events_max` is 257; it takes a whole number from 1 to 256",
            ),
            (
                "[storage]\ncache_mb = '64'",
                "line 2: `storage.cache_mb` is a text; it takes a whole number from 8 to 65536",
            ),
            ("storage = 3", "line 1: `storage` is a whole number; it takes a section"),
            ("[log.format]\nx = 1", "line 1: `log.format` is a section; it takes one of \"pretty\", \"json\""),
            (
                "[log]\nlevel = \"loud\\u202e\"",
                "line 2: `log.level` is \"loud\\u{202e}\"; it takes one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
            ),
            ("data_dir = 'data'", "line 1: `data_dir` is \"data\"; it takes an absolute path"),
            ("data_dir = ''", "line 1: `data_dir` is \"\"; it takes an absolute path"),
            (
                "network.listen = 'localhost'",
                "line 1: `network.listen` is \"localhost\"; it takes an address and port, such as \"192.0.2.1:4000\"",
            ),
            ("network.discovery = 1", "line 1: `network.discovery` is a whole number; it takes true or false"),
            (
                "network.relay = 'relay.example'",
                "line 1: `network.relay` is \"relay.example\"; it takes a URL that begins with https:// or http://",
            ),
            ("data_dir = true", "line 1: `data_dir` is true or false; it takes an absolute path"),
        ];
        for (text, message) in cases {
            check(text, message);
        }
    }

    #[test]
    fn text_that_is_not_toml_is_refused_with_its_line() {
        let check = |text: &str, line: usize| match Config::from_toml(text) {
            Err(ConfigError::Syntax { line: found, reason }) => {
                assert_eq!(found, line, "{text:?}: {reason}");
                assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}");
            }
            other => panic!("{text:?} gave {other:?}"),
        };
        check("[storage]\ncache_mb 64", 2);
        check("[storage]\ncache_mb = 64\ncache_mb = 65", 3);
        check("a = [", 1);
        check(&format!("a = {}", "[".repeat(100_000)), 1);
    }

    #[test]
    fn a_long_value_is_shortened_in_the_message() {
        let error = Config::from_toml(&format!("log.level = '{}'", "ü".repeat(5_000))).expect_err("not a level");
        assert!(error.to_string().len() < 300, "{error}");
    }

    /// Each range in the table, tried at both ends and one beyond.
    #[test]
    fn ranges_include_their_ends_and_nothing_beyond() {
        let ranges = [
            ("storage.cache_mb", 8, 65_536),
            ("storage.write_buffer_mb", 8, 4_096),
            ("storage.disk_free_mb_min", 0, 1_048_576),
            ("workspace.mailbox_messages_max", 16, 65_536),
            ("workspace.group_events_max", 1, 256),
        ];
        assert_eq!(ranges.len() + 6, KEYS.len(), "data_dir, those of the network and of the log have no range");
        for (key, least, greatest) in ranges {
            let accepts = |number: u64| Config::from_toml(&format!("{key} = {number}")).is_ok();
            assert!(accepts(least) && accepts(greatest), "{key}");
            assert!(least.checked_sub(1).is_none_or(|less| !accepts(less)) && !accepts(greatest + 1), "{key}");
        }
    }

    #[test]
    fn the_sample_file_is_the_defaults() {
        assert_eq!(Config::from_toml(SAMPLE), Ok(Config::default()));
    }

    /// With the test above: every key has its line, and every line is that key's default.
    #[test]
    fn the_sample_file_has_every_key_once() {
        let mut section = String::new();
        let mut seen = Vec::new();
        for line in SAMPLE.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = format!("{}.", name.trim_end_matches(']'));
            } else if let Some(name) =
                ["data_dir", "listen", "relay"].into_iter().find(|name| line.starts_with(&format!("# {name} = ")))
            {
                seen.push(format!("{section}{name}"));
            } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
                seen.push(format!("{section}{name}"));
            }
        }
        assert_eq!(seen, KEYS.map(|key| key.path));
    }
}
