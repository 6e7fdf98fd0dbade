//! Arguments of the examples that measure: `FILE axis=extent,..` and settings `name=value`.
//!
//! Invariant: what is malformed is an error that shows it.

use std::error::Error;
use tilewright::{BoundKernel, Kernel};

/// The kernel of a file at some extents.
pub(crate) fn bound(
    arguments: &mut impl Iterator<Item = String>,
) -> Result<BoundKernel, Box<dyn Error>> {
    let file = arguments.next().ok_or("a kernel file")?;
    let sizes = arguments.next().ok_or("extents, axis=extent,..")?;
    let mut extents = vec![];
    for part in sizes.split(',') {
        let (axis, extent) = pair(part)?;
        extents.push((axis, extent.parse::<u64>()?));
    }
    let extents = extents.iter().map(|(axis, extent)| (axis.as_str(), *extent));
    Ok(Kernel::from_file(&file)?.bind(extents)?)
}

/// Both sides of a setting.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or_else(|| format!("{text}: name=value"))?;
    Ok((parts.0.to_string(), parts.1.to_string()))
}
