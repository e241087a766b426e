//! A place on Earth by its latitude and longitude in degrees: `52.5,13.4`, `geo:52.5,13.4` (RFC 5870), or
//! `POINT (13.4 52.5)` (WKT, which has the longitude first).

use super::{Composite, Part, Parts, atom, in_a_row, numbers};
use tandem_wire::{Decimal, Value, design::BaseType};

#[derive(Debug)]
pub(super) struct GeoPoint;

/// How a string writes a point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Pair,
    Uri,
    Wkt,
}

impl Form {
    fn of(string: &str) -> Self {
        if string.starts_with("geo:") {
            Self::Uri
        } else if string.starts_with("POINT") {
            Self::Wkt
        } else {
            Self::Pair
        }
    }

    /// Latitude and longitude, as they are written.
    fn numbers(self, string: &str) -> Option<(&str, &str)> {
        match self {
            Self::Pair => string.split_once(',').map(|(lat, lon)| (lat, lon.trim_start_matches(' '))),
            Self::Uri => string.strip_prefix("geo:")?.split_once(','),
            Self::Wkt => {
                let inside =
                    string.strip_prefix("POINT")?.trim_start_matches(' ').strip_prefix('(')?.strip_suffix(')')?;
                inside.split_once(' ').map(|(lon, lat)| (lat, lon))
            }
        }
    }
}

impl Composite for GeoPoint {
    fn base(&self) -> BaseType {
        BaseType::GeoPoint
    }

    fn example(&self) -> &'static str {
        "52.5,13.4"
    }

    fn parts(&self) -> &'static [Part] {
        const { &[atom("lat", BaseType::Decimal), atom("lon", BaseType::Decimal)] }
    }

    fn read(&self, string: &str) -> Option<Parts> {
        let (lat, lon) = Form::of(string).numbers(string)?;
        let degrees = |text, most| numbers::decimal(text).filter(|degrees| is_within(*degrees, most));
        let (lat, lon) = (degrees(lat, 90)?, degrees(lon, 180)?);
        Some(Parts::from([("lat", Value::Decimal(lat)), ("lon", Value::Decimal(lon))]))
    }

    fn write(&self, parts: &Parts, like: &str) -> Option<String> {
        let (Some(lat), Some(lon)) = (parts.get("lat"), parts.get("lon")) else {
            return parts.is_empty().then(String::new);
        };
        let (lat, lon) = (crate::lens::to_text(lat)?, crate::lens::to_text(lon)?);
        Some(match Form::of(like) {
            Form::Pair => format!("{lat},{lon}"),
            Form::Uri => format!("geo:{lat},{lon}"),
            Form::Wkt => format!("POINT ({lon} {lat})"),
        })
    }

    fn show(&self, parts: &dyn Fn(&str) -> Option<String>) -> String {
        in_a_row(parts, &[("lat", ""), ("lon", ", ")], None)
    }
}

fn is_within(degrees: Decimal, most: i128) -> bool {
    10_i128
        .checked_pow(degrees.scale().into())
        .and_then(|one| one.checked_mul(most))
        .is_some_and(|most| degrees.mantissa().unsigned_abs() <= most.unsigned_abs())
}
