//! Passes that share transactions, whatever happens to one of their statements.

use anyhow::{Context, Result};
use skep_sieve::Fault;
use skep_sieve::company::{KINDS, Meeting, Member};
use skep_testbed::Postgres;

use Member::{Fenced, Sound, Stale, Taken};

/// The first of each is alone; what the others ask meanwhile is shared.
const COMPANIES: [&[Member]; 3] = [
    &[Sound, Sound, Sound, Sound],
    &[Sound, Sound, Stale, Sound],
    &[Sound, Sound, Stale, Fenced, Sound, Taken, Sound],
];

#[tokio::test]
async fn whatever_is_lost_of_what_passes_share_each_is_told_what_is_so_and_nobody_suffers_for_another()
-> Result<()> {
    let server = Postgres::shared()?;
    let mut meeting = Meeting::new(&server.create_database("company")?, 7).await?;
    for members in COMPANIES {
        let statements = meeting.run(members, None).await?.statements;
        let mut fired = 0;
        for kind in KINDS {
            for point in 0..statements {
                let fault = Fault::new(kind, point);
                let came = meeting.run(members, Some(fault)).await;
                fired += usize::from(came.with_context(|| format!("{members:?}, {fault}"))?.fired);
            }
        }
        // The order of a few statements is a matter of timing.
        assert!(fired > statements, "of {statements} statements lost twice {fired} were");
    }
    Ok(())
}

#[tokio::test]
async fn passes_that_come_at_once_take_fewer_statements_than_one_after_the_other() -> Result<()> {
    let server = Postgres::shared()?;
    let mut meeting = Meeting::new(&server.create_database("company")?, 16).await?;
    let one = meeting.run(&[Sound], None).await?.statements;
    let many = meeting.run(&[Sound; 16], None).await?.statements;
    assert!(many < 6 * one, "{many} statements for sixteen, {one} for one");
    Ok(())
}
