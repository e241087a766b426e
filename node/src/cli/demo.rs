//! `tandem demo`.

use super::{CliError, Exit, Out};

pub(super) fn demo(out: &mut Out) -> Result<Exit, CliError> {
    out.line("soon")?;
    Ok(Exit::Success)
}
