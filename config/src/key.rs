//! The table of keys: for each its name, what it takes, and where its value goes.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use toml::de::DeValue;

use crate::{Config, LogFormat, LogLevel};

/// One key that the file may set.
pub(crate) struct Key {
    /// Section and name.
    pub path: &'static str,
    /// Checks the value and puts it in its place.
    pub set: fn(&mut Config, &DeValue<'_>) -> Result<(), Unfit>,
    /// The value as the file would have it, without quotes; none where there is none.
    pub get: fn(&Config) -> Option<String>,
}

/// Every key there is, in the order of the sample file.
pub(crate) const KEYS: [Key; 11] = [
    Key {
        path: "data_dir",
        set: |c, v| directory(v, &mut c.data_dir),
        get: |c| c.data_dir.as_ref().map(|dir| dir.display().to_string()),
    },
    Key {
        path: "storage.cache_mb",
        set: |c, v| integer(v, 8..=65_536, &mut c.storage.cache_mb),
        get: |c| Some(c.storage.cache_mb.to_string()),
    },
    Key {
        path: "storage.write_buffer_mb",
        set: |c, v| integer(v, 8..=4_096, &mut c.storage.write_buffer_mb),
        get: |c| Some(c.storage.write_buffer_mb.to_string()),
    },
    Key {
        path: "storage.disk_free_mb_min",
        set: |c, v| integer(v, 0..=1_048_576, &mut c.storage.disk_free_mb_min),
        get: |c| Some(c.storage.disk_free_mb_min.to_string()),
    },
    Key {
        path: "workspace.mailbox_messages_max",
        set: |c, v| integer(v, 16..=65_536, &mut c.workspace.mailbox_messages_max),
        get: |c| Some(c.workspace.mailbox_messages_max.to_string()),
    },
    Key {
        path: "workspace.group_events_max",
        set: |c, v| integer(v, 1..=256, &mut c.workspace.group_events_max),
        get: |c| Some(c.workspace.group_events_max.to_string()),
    },
    Key {
        path: "network.listen",
        set: |c, v| address(v, &mut c.network.listen),
        get: |c| c.network.listen.map(|address| address.to_string()),
    },
    Key {
        path: "network.discovery",
        set: |c, v| boolean(v, &mut c.network.discovery),
        get: |c| Some(c.network.discovery.to_string()),
    },
    Key { path: "network.relay", set: |c, v| url(v, &mut c.network.relay), get: |c| c.network.relay.clone() },
    Key {
        path: "log.level",
        set: |c, v| choice(v, LogLevel::ALL, LogLevel::name, &mut c.log.level),
        get: |c| Some(c.log.level.name().to_owned()),
    },
    Key {
        path: "log.format",
        set: |c, v| choice(v, LogFormat::ALL, LogFormat::name, &mut c.log.format),
        get: |c| Some(c.log.format.name().to_owned()),
    },
];

/// Why a value does not fit its key; the walk adds the key and the line.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It is of another type.
    Type { allowed: String },
    /// It is of the right type.
    Value { value: String, allowed: String },
}

fn integer(value: &DeValue<'_>, range: RangeInclusive<u32>, into: &mut u32) -> Result<(), Unfit> {
    let allowed = || format!("a whole number from {} to {}", range.start(), range.end());
    let Some(written) = value.as_integer() else { return Err(Unfit::Type { allowed: allowed() }) };
    match u32::from_str_radix(written.as_str(), written.radix()) {
        Ok(number) if range.contains(&number) => *into = number,
        _ => return Err(Unfit::Value { value: shorten(written.as_str()), allowed: allowed() }),
    }
    Ok(())
}

fn choice<T: Copy, const N: usize>(
    value: &DeValue<'_>,
    all: [T; N],
    name: fn(T) -> &'static str,
    into: &mut T,
) -> Result<(), Unfit> {
    let allowed = || format!("one of {}", all.map(|item| format!("\"{}\"", name(item))).join(", "));
    let Some(written) = value.as_str() else { return Err(Unfit::Type { allowed: allowed() }) };
    match all.into_iter().find(|item| name(*item) == written) {
        Some(item) => *into = item,
        None => return Err(Unfit::Value { value: quote(written), allowed: allowed() }),
    }
    Ok(())
}

fn boolean(value: &DeValue<'_>, into: &mut bool) -> Result<(), Unfit> {
    *into = value.as_bool().ok_or_else(|| Unfit::Type { allowed: "true or false".to_owned() })?;
    Ok(())
}

fn address(value: &DeValue<'_>, into: &mut Option<SocketAddr>) -> Result<(), Unfit> {
    let allowed = || "an address and port, such as \"192.0.2.1:4000\"".to_owned();
    let Some(written) = value.as_str() else { return Err(Unfit::Type { allowed: allowed() }) };
    let address = written.parse().map_err(|_| Unfit::Value { value: quote(written), allowed: allowed() })?;
    *into = Some(address);
    Ok(())
}

fn url(value: &DeValue<'_>, into: &mut Option<String>) -> Result<(), Unfit> {
    let allowed = || "a URL that begins with https:// or http://".to_owned();
    let Some(written) = value.as_str() else { return Err(Unfit::Type { allowed: allowed() }) };
    let rest = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.chars().any(|c| c.is_whitespace() || c.is_control())) {
        return Err(Unfit::Value { value: quote(written), allowed: allowed() });
    }
    *into = Some(written.to_owned());
    Ok(())
}

fn directory(value: &DeValue<'_>, into: &mut Option<PathBuf>) -> Result<(), Unfit> {
    let allowed = || "an absolute path".to_owned();
    let Some(written) = value.as_str() else { return Err(Unfit::Type { allowed: allowed() }) };
    if !Path::new(written).is_absolute() || written.contains('\0') {
        return Err(Unfit::Value { value: quote(written), allowed: allowed() });
    }
    *into = Some(PathBuf::from(written));
    Ok(())
}

/// At most this much of a text from the file goes into a message.
const QUOTED_CHARS_MAX: usize = 60;

pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn quote(text: &str) -> String {
    format!("{:?}", shorten(text))
}
