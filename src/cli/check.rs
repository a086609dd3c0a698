//! `evalboard check`: whether a data folder is whole.

use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::counted;
use crate::config::DataDir;
use crate::error::{Error, Result};
use crate::service::checks::{self, Depth};

/// Say whether a data folder is whole.
#[derive(Debug, Args)]
pub struct Check {
    /// Look at names and sizes of files only, without reading them
    #[arg(long)]
    fast: bool,
    #[command(flatten)]
    folder: DataDir,
}

impl Check {
    /// Does it. Standard output gets what is wrong, a line each; then it ends with 1.
    ///
    /// # Errors
    /// Those of the service.
    pub(super) async fn run(self) -> Result<ExitCode> {
        let depth = if self.fast { Depth::Fast } else { Depth::Full };
        let folder = self.folder.data_dir;
        let from = folder.clone();
        let work = move || {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_message("");
            let report = checks::folder(&from, depth, &mut |what| {
                bar.set_message(format!("looking at {what}"));
                bar.tick();
            });
            bar.finish_and_clear();
            report
        };
        let report = tokio::task::spawn_blocking(work).await.map_err(Error::internal)??;
        for note in &report.notes {
            eprintln!("note: {note}");
        }
        for fault in &report.faults {
            println!("{fault}");
        }
        if report.faults.is_empty() {
            println!("{} is whole: the database and {}", folder.display(), counted(report.files, "file"));
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("evalboard: {} in {}", counted(report.faults.len(), "fault"), folder.display());
        Ok(ExitCode::FAILURE)
    }
}
