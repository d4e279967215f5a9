//! Checkouts: they order, hold, change their minds, hear nothing and ask again on another node with the same key, and now
//! and then use a key for something else.

use pannier_core::ledger::orders::OrdersReader;
use pannier_protocol::api::HoldState;
use pannier_protocol::order::{
    CancelOrder, ChangeHold, Command, Fingerprint, HoldId, IfShort, OrderId, ReleaseHold,
};
use pannier_protocol::{LineId, Timestamp};

use super::profile::Profile;
use super::random::Random;
use super::world::{ACCOUNTS, ITEMS, Intake, KIT, Wish, account, key, line_id, units};

/// What a client asked, as often as it asks.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) account: &'static str,
    pub(crate) key: String,
    pub(crate) wants: Wants,
    pub(crate) at: i64,
}

#[derive(Debug, Clone)]
pub(crate) enum Wants {
    Order { wishes: Vec<Wish>, number: Option<String>, hold: Option<HoldId> },
    Cancel(OrderId),
    Hold { wishes: Vec<Wish>, partial: bool, expires_at: i64 },
    Change { hold: HoldId, expires_at: Option<i64>, keep: Vec<(LineId, i64)> },
    Release(HoldId),
}

#[derive(Default)]
pub(crate) struct Clients {
    requests: Vec<Request>,
    keys: usize,
}

impl Clients {
    /// The next request, in words and as a command of the node that takes it.
    pub(crate) fn ask(
        &mut self,
        intake: Intake,
        answers: &OrdersReader,
        profile: &Profile,
        random: &mut Random,
    ) -> (String, Command) {
        let request = match random.weighted(&[100 - profile.holds, profile.holds, 30, 14, 10, 8]) {
            0 => self.order(intake, profile, random),
            1 => self.about_holds(intake, answers, profile, random),
            2 => self.again(intake, random),
            3 => self.cancel(intake, random),
            4 => self.once_more(intake, profile, random),
            _ => self.other_under_the_same_key(intake, profile, random),
        };
        let command = request.command(intake);
        let said = format!("{} asks under {}: {}", request.account, request.key, command.kind());
        self.requests.push(request);
        (said, command)
    }

    fn request(&mut self, intake: Intake, random: &mut Random, wants: Wants) -> Request {
        self.keys += 1;
        let account = ACCOUNTS[random.below(ACCOUNTS.len())];
        Request { account, key: format!("k{}", self.keys), wants, at: intake.now }
    }

    fn order(&mut self, intake: Intake, profile: &Profile, random: &mut Random) -> Request {
        let number = random.chance(30).then(|| format!("PO-{}", random.below(4)));
        let wishes = wishes(profile, random);
        self.request(intake, random, Wants::Order { wishes, number, hold: None })
    }

    /// The same purchase order under another key: a clerk who typed it twice.
    fn once_more(&mut self, intake: Intake, profile: &Profile, random: &mut Random) -> Request {
        let is_numbered = |it: &&Request| matches!(&it.wants, Wants::Order { number: Some(_), .. });
        let numbered: Vec<&Request> = self.requests.iter().filter(is_numbered).collect();
        let Some(first) = random.pick(&numbered).map(|it| (*it).clone()) else {
            return self.order(intake, profile, random);
        };
        let second = self.request(intake, random, first.wants);
        Request { account: first.account, ..second }
    }

    /// One that was answered to be held, mostly.
    fn a_hold(&self, answers: &OrdersReader, random: &mut Random) -> Option<Request> {
        let asked: Vec<&Request> =
            self.requests.iter().filter(|it| matches!(it.wants, Wants::Hold { .. })).collect();
        let is_held = |it: &&Request| {
            let hold = HoldId::derive(&account(it.account), &key(&it.key));
            answers.hold(&hold).is_some_and(|hold| hold.state == HoldState::Held)
        };
        let held: Vec<&Request> = asked.iter().copied().filter(is_held).collect();
        let from = if random.chance(80) { &held } else { &asked };
        random.pick(from).map(|it| (*it).clone())
    }

    fn about_holds(
        &mut self,
        intake: Intake,
        answers: &OrdersReader,
        profile: &Profile,
        random: &mut Random,
    ) -> Request {
        let Some(held) = self.a_hold(answers, random).filter(|_| !random.chance(40)) else {
            let most = if random.chance(50) { 1_200_000 } else { 86_400_000 };
            let expires_at = intake.now + random.between(-1_000, most);
            let (wishes, partial) = (wishes(profile, random), random.chance(30));
            return self.request(intake, random, Wants::Hold { wishes, partial, expires_at });
        };
        let hold = HoldId::derive(&account(held.account), &key(&held.key));
        let Wants::Hold { wishes: held_wishes, .. } = &held.wants else { return held };
        let wants = match random.weighted(&[30, 20, 15, 50]) {
            0 => {
                let ahead = if random.chance(20) { 86_400_000 } else { random.between(-5_000, 1_800_000) };
                Wants::Change { hold, expires_at: Some(intake.now + ahead), keep: Vec::new() }
            }
            1 => {
                let kept = |(at, wish): (usize, &Wish)| {
                    (line_id(&(at + 1).to_string()), random.between(0, wish.quantity))
                };
                let keep = held_wishes.iter().enumerate().map(kept).collect();
                Wants::Change { hold, expires_at: None, keep }
            }
            2 => Wants::Release(hold),
            _ => {
                // The order out of the hold: the same lines, fewer, more, or of another quantity.
                let mut wanted = held_wishes.clone();
                match random.below(4) {
                    0 => wanted.truncate(1),
                    1 => wanted.push(wish(profile, random, 9)),
                    2 => wanted[0].quantity += random.between(0, 3),
                    _ => {}
                }
                Wants::Order { wishes: wanted, number: None, hold: Some(hold) }
            }
        };
        let request = self.request(intake, random, wants);
        // Now and then of an account that has no business with it.
        if random.chance(90) { Request { account: held.account, ..request } } else { request }
    }

    /// It heard nothing, or did not believe it.
    fn again(&mut self, intake: Intake, random: &mut Random) -> Request {
        let recent = 1 + random.below(self.requests.len().max(1));
        let some: Vec<&Request> = self.requests.iter().rev().take(recent).collect();
        match random.pick(&some).filter(|it| it.may_come_again(intake.now)) {
            Some(request) => (*request).clone(),
            None => self.cancel(intake, random),
        }
    }

    fn cancel(&mut self, intake: Intake, random: &mut Random) -> Request {
        let orders: Vec<&Request> =
            self.requests.iter().filter(|it| matches!(it.wants, Wants::Order { .. })).rev().take(8).collect();
        let of = random.pick(&orders).map(|it| (it.account, it.key.clone()));
        let (owner, of) = of.unwrap_or((ACCOUNTS[0], "nothing".to_owned()));
        let order = OrderId::derive(&account(owner), &key(&of));
        let request = self.request(intake, random, Wants::Cancel(order));
        if random.chance(95) { Request { account: owner, ..request } } else { request }
    }

    fn other_under_the_same_key(
        &mut self,
        intake: Intake,
        profile: &Profile,
        random: &mut Random,
    ) -> Request {
        let other = self.order(intake, profile, random);
        let before = random.pick(&self.requests).filter(|it| it.may_come_again(intake.now));
        let Some(before) = before.cloned() else { return other };
        Request { account: before.account, key: before.key, at: before.at, ..other }
    }
}

impl Request {
    /// No client draws a key again for an order when it is forgotten: ids come from keys, and two orders of one id are one
    /// document to every backend.
    fn may_come_again(&self, now: i64) -> bool {
        const FORGOTTEN_MS: i64 = 6 * 24 * 3_600_000;
        !matches!(self.wants, Wants::Order { .. }) || now - self.at < FORGOTTEN_MS
    }

    fn command(&self, intake: Intake) -> Command {
        let keyed = |request: Fingerprint| intake.keyed(self.account, &self.key, request);
        match &self.wants {
            Wants::Order { wishes, number, hold } => {
                let keyed = keyed(Fingerprint::of(&format!("{:?}", self.wants)));
                Command::PlaceOrder(Box::new(intake.order(keyed, wishes, number.as_deref(), *hold)))
            }
            Wants::Cancel(order) => Command::CancelOrder(CancelOrder {
                order: *order,
                keyed: keyed(Fingerprint::of(order)),
                reason: None,
            }),
            Wants::Hold { wishes, partial, expires_at } => {
                let keyed = keyed(Fingerprint::of(&format!("{:?}", self.wants)));
                Command::PlaceHold(intake.hold(keyed, wishes, *partial, *expires_at))
            }
            Wants::Change { hold, expires_at, keep } => Command::ChangeHold(ChangeHold {
                hold: *hold,
                keyed: keyed(Fingerprint::of(&format!("{:?}", self.wants))),
                expires_at: expires_at.map(Timestamp::from_millis),
                keep: keep.iter().map(|(line, kept)| (line.clone(), units(*kept))).collect(),
            }),
            Wants::Release(hold) => {
                Command::ReleaseHold(ReleaseHold { hold: *hold, keyed: keyed(Fingerprint::of(hold)) })
            }
        }
    }
}

fn wishes(profile: &Profile, random: &mut Random) -> Vec<Wish> {
    let count = 1 + random.below(3);
    (0..count).map(|_| wish(profile, random, 9)).collect()
}

fn wish(profile: &Profile, random: &mut Random, more: i64) -> Wish {
    let uom = ["EA", "EA", "EA", "CS", "TH"][random.below(5)];
    let most = if uom == "CS" { 2 } else { 1 + more };
    Wish {
        item: if profile.kits && random.chance(20) { KIT } else { ITEMS[random.below(ITEMS.len())] },
        quantity: random.between(1, most),
        uom,
        if_short: [IfShort::Reject, IfShort::Partial, IfShort::Backorder, IfShort::Backorder]
            [random.below(4)],
        backorder: random.chance(90),
        from_second: random.chance(40),
    }
}
