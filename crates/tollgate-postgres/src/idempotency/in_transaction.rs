//! The outcome within the caller's transaction.

use super::alone::settle;
use crate::Postgres;
use crate::asking::as_on;
use crate::error::{Failure, NotSettled};
use sqlx::PgConnection;
use tollgate_core::store::idempotency::{Settled, Settlement, Token};

impl Postgres {
    /// Settles within the caller's transaction, so that the outcome and the caller's own rows commit together or not at all: for
    /// effects that are rows of this database.
    ///
    /// Make it the last statement before the commit: it locks the record until then. On any error, roll the transaction back (dropping
    /// it does); `?` before the commit is all it takes. A claim that was lost fails here, before anything is committed.
    ///
    /// A handler takes its claim from the request's extensions, and asks the layer's protocol what the layer will store:
    ///
    /// ```no_run
    /// use tollgate_core::store::idempotency::{Settlement, Token};
    /// use tollgate_postgres::{NotSettled, Postgres};
    ///
    /// async fn credit(pool: &sqlx::PgPool, claim: Token, outcome: &Settlement) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut transaction = pool.begin().await?;
    ///     sqlx::query("update account set balance = balance + 1999 where id = 7").execute(&mut *transaction).await?;
    ///     Postgres::settle_in(&mut transaction, claim, outcome).await?;
    ///     transaction.commit().await?; // the money and the answer, together
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Where answers are sealed (`tollgate_core::store::idempotency::seal`), hand over what `Sealed::seal` makes of the settlement.
    ///
    /// Use `read committed`, the default. At `repeatable read` and above a transaction whose snapshot is older than the last renewal of the
    /// claim's lease, or than the first repeat that waits for the claim to end, cannot write the record any more: it fails here, commits
    /// nothing, and so does every later try that takes longer than a third of a lease.
    ///
    /// # What a failure leaves
    ///
    /// Under `ArmPolicy::InTransaction` nothing is ever in doubt. A crash before the commit leaves a claim that was never armed: it is
    /// taken over when its lease lapses. When the commit's own answer is lost, the handler need not know: the layer then asks to
    /// release the key, which waits until the server has decided about the transaction (it holds the record's lock), and is refused
    /// if it committed. The next repeat gets the stored answer, or runs.
    ///
    /// # Errors
    /// [`NotSettled`]: the claim was lost, or the answer is there already together with the rows of the transaction that wrote it,
    /// or the database failed. Nothing of it was written, and nothing must be committed.
    pub async fn settle_in(
        transaction: &mut PgConnection,
        claim: Token,
        settlement: &Settlement,
    ) -> Result<(), NotSettled> {
        let settled = as_on(transaction, async |connection| {
            settle(connection, &claim, settlement).await
        });
        match settled.await.map_err(Failure::inside)? {
            Settled::Applied => Ok(()),
            Settled::AlreadyApplied => Err(NotSettled::AlreadyApplied),
            Settled::Fenced(phase) => Err(NotSettled::Fenced(phase)),
            Settled::Gone => Err(NotSettled::Gone),
        }
    }
}
