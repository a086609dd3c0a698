//! `evalboard user`: makes people on the own data folder, lets them in, and says what they may spend.

use clap::{Args, Subcommand};
use url::Url;

use super::AdminFlag;
use super::serve::noted_address;
use crate::config::{DataDir, usd};
use crate::domain::users::User as Person;
use crate::error::Result;
use crate::service::{caps, people};

/// The address of a server without settings.
const NO_SERVER_YET: &str = "http://127.0.0.1:8080";

/// Make people, and say what they may spend.
#[derive(Debug, Args)]
pub struct User {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a person, or make one an admin who is there already
    Add {
        /// The person's address
        email: String,
        #[command(flatten)]
        admin: AdminFlag,
        /// What the person is called where EVALBOARD_SUBMITTERS is handle [default: what stands before the @]
        #[arg(long)]
        handle: Option<String>,
        #[command(flatten)]
        folder: DataDir,
    },
    /// Print a link, once usable within a week, by which a person chooses a new password
    Link {
        /// The person's address
        email: String,
        /// How the outside reaches the server: what the link starts with [default: the address of the server that
        /// runs on the data folder, or ran there last]
        #[arg(long, env = "EVALBOARD_PUBLIC_URL", value_name = "URL")]
        public_url: Option<Url>,
        #[command(flatten)]
        folder: DataDir,
    },
    /// Say what a member may spend on the operator's keys in a day (UTC); a running server follows at once
    Cap {
        /// The person's address
        email: String,
        /// US dollars, such as 5.00 (0 is nothing at all), or none: then the server's EVALBOARD_MEMBER_DAILY_USD applies
        #[arg(value_parser = cap, allow_hyphen_values = true)]
        usd: Cap,
        #[command(flatten)]
        folder: DataDir,
    },
}

/// A cap of one's own, or none.
#[derive(Debug, Clone, Copy)]
struct Cap(Option<f64>);

fn cap(text: &str) -> std::result::Result<Cap, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Cap(None));
    }
    usd(text).map(Some).map(Cap).map_err(|why| format!("{why}, or none"))
}

impl User {
    /// Does it.
    ///
    /// # Errors
    /// Those of the service and the store.
    pub(super) async fn run(self) -> Result<()> {
        match self.command {
            Command::Add { email, admin, handle, folder } => {
                let store = super::open(&folder)?;
                let (user, handle) = people::add(&store, &email, admin.role(), handle.as_deref()).await?;
                println!("{} ({}), called {handle}", user.email, user.role.as_str());
                super::close(store).await
            }
            Command::Link { email, public_url, folder } => {
                let store = super::open(&folder)?;
                let token = people::link_for(&store, &email).await?;
                let public_url = public_url.or_else(|| noted_address(&folder.data_dir));
                let public_url = public_url.as_ref().map_or(NO_SERVER_YET, Url::as_str);
                println!("{}", super::one_time_link(public_url, &token));
                super::close(store).await
            }
            Command::Cap { email, usd: Cap(usd), folder } => {
                let store = super::open(&folder)?;
                let user = caps::set(&store, &email, usd).await?;
                println!("{}", in_words(&user, usd));
                super::close(store).await
            }
        }
    }
}

/// What a cap means for a person.
fn in_words(user: &Person, cap: Option<f64>) -> String {
    let email = &user.email;
    let may = match cap {
        Some(usd) => format!("{email} may spend ${usd:.2} a day (UTC) on the operator's keys"),
        None => format!("{email} has no cap of his own: EVALBOARD_MEMBER_DAILY_USD of the server applies"),
    };
    if user.is_admin() { format!("{may}; as an admin he is not held to it") } else { may }
}
