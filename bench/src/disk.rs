//! What a row takes on the disk after a clean stop, blocks that the file system allocated counted whole.

use crate::{
    figure::{Figure, Metric},
    lab::Lab,
    read::ROWS,
    task::Side,
};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// Bytes in a block of `stat`, whatever the file system's own are.
const BLOCK_BYTES: u64 = 512;

/// All rows.
pub fn figures(lab: &mut Lab) -> Vec<Figure> {
    let rows = lab.rows.unwrap_or(ROWS);
    let mut bytes = |side| allocated(&lab.stored(side, rows)) as f64 / rows as f64;
    let (ours, reference) = (bytes(Side::Ours), bytes(Side::Sqlite));
    let peak_mb = lab.storing_peak_mb(Side::Ours, rows);
    vec![Figure {
        bench: "disk",
        case: "clean-stop",
        metric: Metric::Bytes,
        ours,
        reference,
        reference_name: Side::Sqlite.name(),
        peak_mb,
    }]
}

fn allocated(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path).expect("a file of a closed database");
    let inside = match metadata.is_dir() {
        true => fs::read_dir(path)
            .expect("a folder can be read")
            .map(|entry| allocated(&entry.expect("an entry").path()))
            .sum(),
        false => 0,
    };
    metadata.blocks() * BLOCK_BYTES + inside
}
