//! What people spent on the operator's keys, day by day, and what they may. Whether that is enough for something
//! is decided elsewhere.

use super::Tx;
use crate::domain::id::{RunKey, UserKey};
use crate::domain::spending::{Allowance, Charge, Day};
use crate::domain::time::Millis;
use crate::domain::users::User;
use crate::error::Result;
use crate::values;

/// What a person may spend at `now`, and has spent; `default_cap` is for members who have no cap of their own.
///
/// # Errors
/// The database's.
pub fn allowance(tx: &mut Tx<'_>, user: &User, default_cap: Option<f64>, now: Millis) -> Result<Allowance> {
    let day = Day::of(now);
    let (is_known, spent_usd) = tx.one(
        "SELECT COUNT(*) = COUNT(usd) AS is_known, TOTAL(usd) AS usd
         FROM spending
         WHERE user_id = ?1 AND day = ?2",
        values![user.key, day.0],
        |row| Ok((row.get::<bool>("is_known")?, row.get("usd")?)),
    )?;
    let own: Option<f64> =
        tx.one("SELECT daily_usd FROM users WHERE id = ?1", values![user.key], |row| row.get("daily_usd"))?;
    let cap_usd = if user.is_admin() { None } else { own.or(default_cap) };
    Ok(Allowance { cap_usd, spent_usd: is_known.then_some(spent_usd), day })
}

/// Gives a person a cap of his own in US dollars a day, or takes it away.
///
/// # Errors
/// The database's.
pub fn set_cap(tx: &mut Tx<'_>, user: UserKey, cap_usd: Option<f64>) -> Result<()> {
    tx.execute("UPDATE users SET daily_usd = ?2 WHERE id = ?1", values![user, cap_usd]).map(drop)
}

/// Adds what something cost to what a person spent today.
///
/// # Errors
/// The database's.
pub fn add(tx: &mut Tx<'_>, user: UserKey, charge: Charge, now: Millis) -> Result<()> {
    let usd = match charge {
        Charge::Nothing => return Ok(()),
        Charge::Usd(usd) => Some(usd),
        Charge::Unknown => None,
    };
    tx.execute(
        "INSERT INTO spending (user_id, day, usd)
         VALUES (?1, ?2, ?3)
         ON CONFLICT (user_id, day) DO UPDATE SET usd = usd + excluded.usd",
        values![user, Day::of(now).0, usd],
    )
    .map(drop)
}

/// Open runs of a person that ask something on the operator's keys.
///
/// # Errors
/// The database's.
pub fn open_runs(tx: &mut Tx<'_>, user: UserKey) -> Result<Vec<RunKey>> {
    tx.rows(
        "SELECT id
         FROM runs
         WHERE triggered_by = ?1 AND on_operator = 1 AND state IN ('queued', 'running')
         ORDER BY id",
        values![user],
        |row| row.get("id"),
    )
}
