//! A machine that was started again, as a data directory sees it.

use std::path::Path;
use tandem_storage::rescue::{Head, HeadFile, Place};

/// The directory is where it was, on the machine where it was, which has another boot now.
pub fn reboot(dir: &Path) {
    let HeadFile::Whole(mut head) = Head::read(dir).unwrap() else { return };
    let here = postcard::to_allocvec(&Place::here(&dir.join("device.key")).unwrap()).unwrap();
    // Machine, boot, and what tells a copy.
    type Parts = (Option<String>, Option<String>, (u64, i64, i64));
    let (machine, boot, file): Parts = postcard::from_bytes(&here).unwrap();
    let before: Parts = (machine, boot.map(|boot| format!("not {boot}")), file);
    head.place = postcard::from_bytes(&postcard::to_allocvec(&before).unwrap()).unwrap();
    head.write(dir).unwrap();
}
