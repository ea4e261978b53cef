//! Watching: a log in the order of commits, readers that follow it, and compaction.
//!
//! Transactions insert, are numbered and end in any order that Postgres allows. A reader lists page by page, then follows the log
//! from where the list began, and reads what a change says has changed. Meanwhile the log is cut, and the database may be
//! replaced by an older copy of itself.
//!
//! | action | in the product |
//! |---|---|
//! | [`Action::Write`] | a statement of `ScopedStore::apply`: the trigger `resource_log` inserts into `change_log`, which draws a `seq` |
//! | [`Action::Number`] | the deferred trigger `assign_revision`: takes the row of `cluster_rev` and numbers what was logged |
//! | [`Action::Commit`], [`Action::Abort`] | the end of the transaction; the row of `cluster_rev` is held until then |
//! | [`Action::List`] | `Store::list`, a page of it; the first page's cursor is kept (`api/src/routes/watch.rs`) |
//! | [`Action::Read`] | `ScopedStore::changes` and [`Cursor`]; a cursor that is not good any more is `CursorExpired`, 410, and the reader lists again |
//! | [`Action::Look`] | `hub::look`, a pass: what is there *now*, which may be newer than the change |
//! | [`Action::RaiseFloor`], [`Action::Cut`] | `Store::compact`: the floor first, then the rows |
//! | [`Action::Backup`], [`Action::Restore`] | somebody restores a dump; `cluster_rev.epoch` changes at the start |
//!
//! NOTIFY is not in the model: a reader may read at any time, and nothing depends on being told.

use stateright::{Model, Property};

/// What each transaction writes: two resources at once, and each of them once more. Locks are taken in the order of keys, as
/// `apply/lock.rs` does.
pub const TRANSACTIONS: [&[usize]; 3] = [&[0, 1], &[0], &[1]];
/// How many resources there are.
pub const KEYS: usize = 2;
/// How many rows a page of the log has: one, so that the rows of a transaction span pages.
const PAGE: usize = 1;
/// After every row of a revision, as `Cursor::end_of`.
const END: u8 = u8::MAX;

/// A rule that the product keeps, and that a model can be without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// A row's place in the log is its transaction's revision, not the number that it drew when it was inserted.
    Revision,
    /// The row of `cluster_rev` is held from the numbering to the end of the transaction.
    HeldUntilCommit,
    /// A page's rows and the head that its cursor jumps to are of one statement.
    OneStatement,
    /// A page that ends inside a transaction has a cursor inside it.
    InsideCursor,
    /// The first page's cursor is kept while a list goes on.
    FirstPage,
    /// A cursor from before the floor is refused.
    Floor,
    /// The floor rises before the rows go.
    FloorFirst,
    /// A cursor of another epoch is refused.
    Epoch,
}

/// A model of one database and one reader.
#[derive(Debug, Clone)]
pub struct Watches {
    /// How many of [`TRANSACTIONS`] there are.
    pub transactions: usize,
    /// May the log be cut?
    pub compacts: bool,
    /// May the database be restored?
    pub restores: bool,
    /// Which rules are not kept.
    pub without: &'static [Guard],
}

/// What the world is like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// What everybody sees.
    pub data: Data,
    /// The transactions.
    pub transactions: Vec<Transaction>,
    /// The next number of the sequence. It never goes back, not even when a transaction does.
    pub sequence: u8,
    /// The number that the next write is known by, over all histories.
    pub writes: u8,
    /// The copy that may be restored.
    pub backup: Option<Box<Data>>,
    /// How many copies may still be restored.
    pub restores: u8,
    /// The reader.
    pub reader: Reader,
    /// What has happened, for the properties only.
    pub past: Past,
}

/// What is committed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Data {
    /// `cluster_rev.epoch`.
    pub epoch: u8,
    /// `cluster_rev.revision`.
    pub head: u8,
    /// `cluster_rev.floor`.
    pub floor: u8,
    /// `change_log`, in the order in which it is read.
    pub log: Vec<Row>,
    /// The last write of each resource.
    pub resources: [u8; KEYS],
    /// Every row that was ever in the log, in the order of commits.
    pub history: Vec<Row>,
}

/// A row of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row {
    /// Where it is in the log.
    pub place: Place,
    /// Which resource changed.
    pub key: usize,
    /// By which write.
    pub write: u8,
}

/// `(revision, seq)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The transaction's number.
    pub revision: u8,
    /// The row's.
    pub seq: u8,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transaction {
    /// It writes; so far these rows, that have no revision yet.
    Open(Vec<Row>),
    /// It has its number and is about to end.
    Numbered(Vec<Row>),
    /// It has ended.
    Ended,
}

/// How far a reader has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// In which history.
    pub epoch: u8,
    /// Up to where.
    pub place: Place,
}

/// A reader: the API's watch, or the controller's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reader {
    /// What it does.
    pub phase: Phase,
    /// The last write that it knows of each resource.
    pub known: [u8; KEYS],
    /// The last row it was told, since its list.
    pub told: Option<Place>,
}

/// What a reader does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It reads the page of the list that begins with this key; the log is read from the first page's cursor on.
    Listing {
        /// The cursor of the first page.
        first: Option<Cursor>,
        /// Where the page begins.
        from: usize,
    },
    /// It reads the log.
    Reading(Cursor),
    /// It was told that these changed, and looks at them.
    Looking {
        /// What it was told.
        keys: Vec<usize>,
        /// Where it goes on; not known when the head is read later.
        next: Option<Cursor>,
    },
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Past {
    /// A reader was told the same row again.
    pub repeated: bool,
    /// A reader was told to list again.
    pub relisted: bool,
    /// A transaction that began to write later was committed sooner.
    pub out_of_order: bool,
    /// A page ended inside a transaction.
    pub inside: bool,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A transaction writes its next resource.
    Write(usize),
    /// A transaction gets its revision.
    Number(usize),
    /// It ends, and what it wrote is there.
    Commit(usize),
    /// It ends, and nothing was.
    Abort(usize),
    /// The reader reads a page of the list.
    List,
    /// The reader reads a page of the log.
    Read,
    /// The reader looks at what has changed.
    Look,
    /// The log may be cut up to here.
    RaiseFloor(u8),
    /// It is cut.
    Cut,
    /// A copy is made.
    Backup,
    /// It takes the database's place.
    Restore,
}

impl Data {
    const EMPTY: Self =
        Self { epoch: 0, head: 0, floor: 0, log: Vec::new(), resources: [0; KEYS], history: Vec::new() };

    /// After everything that is there.
    fn end(&self) -> Cursor {
        Cursor { epoch: self.epoch, place: Place { revision: self.head, seq: END } }
    }
}

impl State {
    fn rows_of(&self, transaction: usize) -> Option<&Vec<Row>> {
        match &self.transactions[transaction] {
            Transaction::Open(rows) | Transaction::Numbered(rows) => Some(rows),
            Transaction::Ended => None,
        }
    }

    /// Has another transaction written this resource and not ended? Then this one waits for its row.
    fn is_locked(&self, key: usize) -> bool {
        let others = (0..self.transactions.len()).filter_map(|id| self.rows_of(id));
        others.flatten().any(|row| row.key == key)
    }

    fn someone_is_numbered(&self) -> bool {
        self.transactions.iter().any(|transaction| matches!(transaction, Transaction::Numbered(_)))
    }

    /// Where the reader is, if it has nothing in hand.
    fn settled_at(&self) -> Option<Cursor> {
        match &self.reader.phase {
            Phase::Reading(cursor) => Some(*cursor),
            Phase::Listing { .. } | Phase::Looking { .. } => None,
        }
    }

    /// Does the reader know at least what was so at its cursor? Of a history that was undone nothing is asked.
    fn misses_nothing(&self) -> bool {
        let Some(cursor) = self.settled_at().filter(|cursor| cursor.epoch == self.data.epoch) else {
            return true;
        };
        let mut read = self.data.history.iter().filter(|row| row.place <= cursor.place);
        read.all(|row| self.reader.known[row.key] >= row.write)
    }

    /// Has it read all there is, by its own account?
    fn is_caught_up(&self, model: &Watches) -> bool {
        self.settled_at().is_some_and(|cursor| {
            model.is_good(&self.data, cursor) && !self.data.log.iter().any(|row| row.place > cursor.place)
        })
    }
}

impl Watches {
    fn keeps(&self, guard: Guard) -> bool {
        !self.without.contains(&guard)
    }

    /// `Cursor::is_within`.
    fn is_good(&self, data: &Data, cursor: Cursor) -> bool {
        let floor = Place { revision: data.floor, seq: END };
        let same = cursor.epoch == data.epoch || !self.keeps(Guard::Epoch);
        let above = cursor.place >= floor || !self.keeps(Guard::Floor);
        let of_the_past = cursor.place.revision <= data.head || !self.keeps(Guard::Epoch);
        same && above && of_the_past
    }

    fn write(state: &mut State, id: usize) {
        let Transaction::Open(rows) = &mut state.transactions[id] else { return };
        let Some(&key) = TRANSACTIONS[id].get(rows.len()) else { return };
        state.sequence += 1;
        state.writes += 1;
        rows.push(Row { place: Place { revision: 0, seq: state.sequence }, key, write: state.writes });
    }

    fn number(&self, state: &mut State, id: usize) {
        let others = state.transactions.iter().filter(|other| matches!(other, Transaction::Numbered(_)));
        // Numbers that others hold and have not committed are seen by nobody: the row is locked, or it should be.
        let ahead = u8::try_from(others.count()).unwrap_or(u8::MAX);
        let Transaction::Open(rows) = &mut state.transactions[id] else { return };
        for row in rows.iter_mut() {
            row.place = if self.keeps(Guard::Revision) {
                Place { revision: state.data.head + ahead + 1, seq: row.place.seq }
            } else {
                Place { revision: row.place.seq, seq: 0 }
            };
        }
        state.transactions[id] = Transaction::Numbered(std::mem::take(rows));
    }

    fn commit(state: &mut State, id: usize) {
        let Transaction::Numbered(rows) = std::mem::replace(&mut state.transactions[id], Transaction::Ended)
        else {
            return;
        };
        let began = |rows: &[Row]| rows.first().map(|row| row.write);
        let open = (0..state.transactions.len()).filter_map(|other| began(state.rows_of(other)?));
        state.past.out_of_order |= open.into_iter().any(|other| Some(other) < began(&rows));
        let data = &mut state.data;
        for row in rows {
            data.head = data.head.max(row.place.revision);
            data.resources[row.key] = row.write;
            data.log.push(row);
            data.history.push(row);
        }
        data.log.sort_unstable();
    }

    fn list(&self, state: &mut State) {
        let Phase::Listing { first, from } = state.reader.phase else { return };
        state.reader.known[from] = state.data.resources[from];
        let first = first.filter(|_| self.keeps(Guard::FirstPage)).unwrap_or(state.data.end());
        state.reader.told = None;
        state.reader.phase = if from + 1 < KEYS {
            Phase::Listing { first: Some(first), from: from + 1 }
        } else {
            Phase::Reading(first)
        };
    }

    fn read(&self, state: &mut State) {
        let Phase::Reading(cursor) = state.reader.phase else { return };
        if !self.is_good(&state.data, cursor) {
            state.past.relisted = true;
            state.reader.phase = Phase::Listing { first: None, from: 0 };
            return;
        }
        let log = &state.data.log;
        let rows: Vec<Row> = log.iter().filter(|row| row.place > cursor.place).take(PAGE).copied().collect();
        for row in &rows {
            state.past.repeated |= state.reader.told.is_some_and(|told| row.place <= told);
            state.reader.told = Some(row.place);
        }
        let last = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.place);
        if let Some(last) = last {
            let goes_on = |row: &&Row| row.place > last && row.place.revision == last.revision;
            state.past.inside |= log.iter().any(|row| goes_on(&row));
        }
        let next = match last {
            Some(place) if self.keeps(Guard::InsideCursor) => Some(Cursor { epoch: state.data.epoch, place }),
            Some(place) => {
                Some(Cursor { epoch: state.data.epoch, place: Place { revision: place.revision, seq: END } })
            }
            None => self.keeps(Guard::OneStatement).then(|| state.data.end()),
        };
        let keys = rows.iter().map(|row| row.key).collect();
        state.reader.phase = Phase::Looking { keys, next };
    }

    fn look(state: &mut State) {
        let Phase::Looking { keys, next } = &state.reader.phase else { return };
        for &key in keys {
            state.reader.known[key] = state.data.resources[key];
        }
        state.reader.phase = Phase::Reading(next.unwrap_or(state.data.end()));
    }

    /// The database is its own copy; transactions that were open are gone, and are tried again.
    fn restore(state: &mut State) {
        let Some(backup) = state.backup.take() else { return };
        let epoch = state.data.epoch + 1;
        state.data = Data { epoch, ..*backup };
        state.restores -= 1;
        for transaction in state.transactions.iter_mut().filter(|one| **one != Transaction::Ended) {
            *transaction = Transaction::Open(Vec::new());
        }
    }

    fn writers(&self, state: &State, actions: &mut Vec<Action>) {
        for (id, transaction) in state.transactions.iter().enumerate() {
            match transaction {
                Transaction::Open(rows) => match TRANSACTIONS[id].get(rows.len()) {
                    Some(&key) if state.is_locked(key) => {}
                    Some(_) => actions.push(Action::Write(id)),
                    None if state.someone_is_numbered() && self.keeps(Guard::HeldUntilCommit) => {}
                    None => actions.extend([Action::Number(id), Action::Abort(id)]),
                },
                Transaction::Numbered(_) => actions.extend([Action::Commit(id), Action::Abort(id)]),
                Transaction::Ended => {}
            }
        }
    }

    fn compaction(&self, data: &Data, actions: &mut Vec<Action>) {
        // The newest revision is kept, as `compact(keep, …)` keeps some thousands.
        actions.extend((data.floor + 1..data.head).map(Action::RaiseFloor));
        let limit = if self.keeps(Guard::FloorFirst) { data.floor } else { data.head.saturating_sub(1) };
        if data.log.iter().any(|row| row.place.revision <= limit) {
            actions.push(Action::Cut);
        }
    }

    fn cut(&self, data: &mut Data) {
        let limit = if self.keeps(Guard::FloorFirst) { data.floor } else { data.head.saturating_sub(1) };
        data.log.retain(|row| row.place.revision > limit);
    }
}

impl Model for Watches {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            data: Data::EMPTY,
            transactions: vec![Transaction::Open(Vec::new()); self.transactions],
            sequence: 0,
            writes: 0,
            backup: None,
            restores: u8::from(self.restores),
            reader: Reader { phase: Phase::Listing { first: None, from: 0 }, known: [0; KEYS], told: None },
            past: Past::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.writers(state, actions);
        match state.reader.phase {
            Phase::Listing { .. } => actions.push(Action::List),
            Phase::Reading(_) => actions.push(Action::Read),
            Phase::Looking { .. } => actions.push(Action::Look),
        }
        if self.compacts {
            self.compaction(&state.data, actions);
        }
        if state.restores > 0 {
            actions.push(if state.backup.is_some() { Action::Restore } else { Action::Backup });
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Write(id) => Self::write(&mut state, id),
            Action::Number(id) => self.number(&mut state, id),
            Action::Commit(id) => Self::commit(&mut state, id),
            Action::Abort(id) => state.transactions[id] = Transaction::Ended,
            Action::List => self.list(&mut state),
            Action::Read => self.read(&mut state),
            Action::Look => Self::look(&mut state),
            Action::RaiseFloor(floor) => state.data.floor = floor,
            Action::Cut => self.cut(&mut state.data),
            Action::Backup => state.backup = Some(Box::new(state.data.clone())),
            Action::Restore => Self::restore(&mut state),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(DENSE, |model: &Self, state: &State| {
                let revisions = state.data.history.iter().map(|row| row.place.revision);
                let mut last = 0;
                let steps = revisions.map(|revision| revision - std::mem::replace(&mut last, revision));
                !model.keeps(Guard::Revision) || steps.into_iter().all(|step| step <= 1)
            }),
            Property::always(NO_GAP, |_, state: &State| state.misses_nothing()),
            Property::always(NO_REPEAT, |_, state: &State| !state.past.repeated),
            Property::always(EQUAL, |model, state: &State| {
                !state.is_caught_up(model) || state.reader.known == state.data.resources
            }),
            Property::sometimes(CAN_CATCH_UP, |model: &Self, state: &State| {
                state.is_caught_up(model) && state.data.history.len() > 2
            }),
            Property::sometimes(OUT_OF_ORDER, |_, state: &State| state.past.out_of_order),
            Property::sometimes(INSIDE, |_, state: &State| state.past.inside),
        ]
    }
}

/// I8.
pub const DENSE: &str = "revisions are dense and in the order of commits";
/// I8.
pub const NO_GAP: &str = "a reader knows everything up to its cursor";
/// I8.
pub const NO_REPEAT: &str = "a reader is told a change once";
/// What watching is for.
pub const EQUAL: &str = "a reader that has read everything knows what is there";
/// The model is not empty.
pub const CAN_CATCH_UP: &str = "a reader can read everything";
/// The hard cases do occur.
pub const OUT_OF_ORDER: &str = "transactions end in another order than they wrote";
/// The hard cases do occur.
pub const INSIDE: &str = "a page ends inside a transaction";
