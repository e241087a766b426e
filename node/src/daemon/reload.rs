//! What of a changed configuration a running node can take on.

use tandem_config::Config;

/// What is to be done about a configuration that was read again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// What holds from now on: the running one with what can change while it runs.
    pub config: Config,
    /// Keys whose new values hold after a restart.
    pub after_restart: Vec<&'static str>,
}

/// Compares the configuration that holds with the one that was read.
pub(super) fn compare(running: &Config, read: &Config) -> Changed {
    let config = Config { log: read.log.clone(), ..running.clone() };
    let both = config.entries().zip(read.entries());
    let after_restart = both.filter(|(now, read)| now != read).map(|((key, _), _)| key).collect();
    Changed { config, after_restart }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_changes_at_once_and_the_rest_is_named() {
        let check = |running: &str, read: &str, holds: &str, after_restart: &[&'static str]| {
            let parse = |text: &str| Config::from_toml(text).unwrap();
            let expect = Changed { config: parse(holds), after_restart: after_restart.to_vec() };
            assert_eq!(compare(&parse(running), &parse(read)), expect, "{running} → {read}");
        };
        check("", "", "", &[]);
        let loud = "log = { level = 'debug', format = 'json' }";
        check("", loud, loud, &[]);
        check(loud, "", "", &[]);
        check("", "storage.cache_mb = 32\nlog.level = 'info'", "log.level = 'info'", &["storage.cache_mb"]);
        // Told again until the restart, and no more when it was taken back.
        check(
            "storage.cache_mb = 32",
            "workspace.group_events_max = 8",
            "storage.cache_mb = 32",
            &["storage.cache_mb", "workspace.group_events_max"],
        );
        check("storage.cache_mb = 32", "storage.cache_mb = 32", "storage.cache_mb = 32", &[]);
        check("", "data_dir = '/srv/tandem'", "", &["data_dir"]);
    }
}
