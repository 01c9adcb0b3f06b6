//! `docs/BENCHMARKS.md` and its plots, from measured runs.
//!
//! The document is written by hand but for its sections between `<!-- generated: NAME -->` and `<!-- end: NAME -->`,
//! which are made here; so no figure in them is older than the run it comes from.

mod line;
mod plots;
mod simulated;
mod steady;
mod svg;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::Document;
use crate::run::Sheet;
use crate::simulate;
use crate::workload::{LINE, STEADY};

/// Measured runs, by link and congestion control.
pub(crate) type Groups = BTreeMap<(String, String), Vec<Sheet>>;

/// Writes document and plots.
pub(crate) fn write(args: &Document) -> Result<()> {
    let (mut groups, mut lines, mut steady) = (Groups::new(), Groups::new(), Groups::new());
    for sheet in sheets(&args.from)? {
        let groups = match sheet.workload.as_str() {
            name if name == LINE.name => &mut lines,
            name if STEADY.iter().any(|workload| workload.name == name) => &mut steady,
            _ => &mut groups,
        };
        groups.entry((sheet.profile.clone(), sheet.cc.clone())).or_default().push(sheet);
    }
    let simulated = match &args.simulated {
        Some(file) => sheets(file)?,
        None => {
            let runs = groups.values().flatten().map(|sheet| sheet.run).max().unwrap_or(1);
            simulate::all(runs)
        }
    };
    fs::create_dir_all(&args.plots)?;
    let sections = [
        ("about", table::about(&args.about, &groups)?),
        ("line", line::table(&lines)?),
        ("steady", steady::table(&args.about, &steady)?),
        ("latency", table::latency(&groups)?),
        ("simulator", simulated::against(&simulated::cells(&groups, &simulated))?),
        ("players", simulated::players(&simulated)?),
        ("cost", table::cost(&groups)?),
        ("playing", table::playing(&groups)?),
        ("traces", table::traces(&groups)?),
        ("settings", table::settings(&groups)),
        ("plots", plots::all(&groups, &args.plots)?),
    ];
    let mut document = fs::read_to_string(&args.into)
        .with_context(|| format!("reading {}", args.into.display()))?;
    let wanted = |name: &str| args.sections.is_empty() || args.sections.iter().any(|s| s == name);
    for (name, made) in sections.iter().filter(|(name, _)| wanted(name)) {
        document = replaced(&document, name, made)?;
    }
    Ok(fs::write(&args.into, document)?)
}

/// The runs in a file.
fn sheets(file: &Path) -> Result<Vec<Sheet>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let sheet = |line| serde_json::from_str(line).context("a line that is no sheet");
    text.lines().map(sheet).collect()
}

/// `document` with another section `name`.
fn replaced(document: &str, name: &str, made: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- generated: {name} -->"), format!("<!-- end: {name} -->"));
    let Some((before, rest)) = document.split_once(&begin) else {
        bail!("no {begin} in the document")
    };
    let Some((_, after)) = rest.split_once(&end) else { bail!("no {end} in the document") };
    Ok(format!("{before}{begin}\n{}\n{end}{after}", made.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_the_marked_section_changes() {
        let old = "by hand\n<!-- generated: x -->\nold\n<!-- end: x -->\nby hand too\n";
        let new = replaced(old, "x", "new\n").expect("marked");
        assert_eq!(new, "by hand\n<!-- generated: x -->\nnew\n<!-- end: x -->\nby hand too\n");
        assert!(replaced(old, "y", "").is_err());
    }
}
