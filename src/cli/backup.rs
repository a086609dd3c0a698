//! `evalboard backup` and `evalboard restore`: a data folder as one file, and back.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::counted;
use crate::config::DataDir;
use crate::error::{Error, Result};
use crate::service::backups::{self, Key, Made, Restored, Step};

/// Copy a data folder into one file, also while a server writes to it.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to be made, a tar archive; it must not be there yet
    file: PathBuf,
    /// Put the master key in too: then whoever has the file can open the sealed API keys in it
    #[arg(long)]
    with_master_key: bool,
    #[command(flatten)]
    folder: DataDir,
}

/// Make a data folder from a backup.
#[derive(Debug, Args)]
pub struct Restore {
    /// What `evalboard backup` made
    file: PathBuf,
    #[command(flatten)]
    folder: DataDir,
}

impl Backup {
    /// Does it. Ends with 1 when files were missing or damaged already: the rest is in the backup.
    ///
    /// # Errors
    /// Those of the service.
    pub(super) async fn run(self) -> Result<ExitCode> {
        let Self { file, with_master_key, folder } = self;
        let key = if with_master_key { Key::With } else { Key::Without };
        let (to, from) = (file.clone(), folder.data_dir.clone());
        let made = blocking(move |told| backups::make(&from, &to, key, told)).await?;
        let Made { files, size, faults } = made;
        println!("{}: the database and {}, {size} bytes", file.display(), counted(files, "file"));
        if key == Key::Without && folder.data_dir.join(backups::MASTER_KEY).is_file() {
            eprintln!(
                "The master key is not in it: keep {} somewhere else, or sealed API keys have to be entered again.",
                folder.data_dir.join(backups::MASTER_KEY).display()
            );
        }
        for fault in &faults {
            eprintln!("evalboard: {fault}");
        }
        Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Restore {
    /// Does it.
    ///
    /// # Errors
    /// Those of the service.
    pub(super) async fn run(self) -> Result<ExitCode> {
        let folder = self.folder.data_dir;
        let (from, to) = (self.file, folder.clone());
        let restored = blocking(move |told| backups::restore(&from, &to, told)).await?;
        let Restored { made_at, files, has_key } = restored;
        println!(
            "{}: the database and {}, as of {}",
            folder.display(),
            counted(files, "file"),
            made_at.to_minute()
        );
        if !has_key {
            eprintln!(
                "The master key was not in it: put it at {} before you serve, or sealed API keys have to be entered again.",
                folder.join(backups::MASTER_KEY).display()
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Does what takes long where it holds nobody up, with a bar on a terminal.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&mut dyn FnMut(Step)) -> Result<T> + Send + 'static,
) -> Result<T> {
    let work = move || {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let done = work(&mut |step| show(&bar, step));
        bar.finish_and_clear();
        done
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn show(bar: &ProgressBar, step: Step) {
    let (template, done, all) = match step {
        Step::Pages(done, all) => ("{bar:40} {pos}/{len} pages, {eta} left", done, all),
        Step::Bytes(done, all) => ("{bar:40} {bytes}/{total_bytes}, {eta} left", done, all),
    };
    if bar.length() != Some(all)
        && let Ok(style) = ProgressStyle::with_template(template)
    {
        bar.set_style(style);
        bar.set_length(all);
    }
    bar.set_position(done);
}
