//! Orders as the backends keep them: taken from dispatches, counted, shipped, cancelled, returned.

use pannier_core::ledger::orders::{OrdersReader, Promise};
use pannier_protocol::codec;
use pannier_protocol::order::{
    Dispatch, DispatchKind, FailureClass, LineProgress, OrderAcknowledged, OrderCancelled, OrderEvent,
    OrderFailed, OrderId, OrderProgressed, SourcePosition,
};
use pannier_protocol::{DocumentId, Encoding};

use super::super::broker::Broker;
use super::super::random::Random;
use super::super::world::{BY_POSITION, keeper, line_id, needs, source, units};
use super::{Document, DocumentLine, Erp, Part};

/// In millionths, rounded up as promises are.
pub(crate) fn base(count: i64, numerator: i64, denominator: i64) -> i64 {
    let product = i128::from(count) * 1_000_000 * i128::from(numerator);
    let up = (product + i128::from(denominator) - 1) / i128::from(denominator);
    i64::try_from(up).unwrap_or(i64::MAX)
}

impl DocumentLine {
    fn untouched(name: &str) -> LineProgress {
        let line = line_id(name);
        LineProgress {
            line,
            shipped: None,
            cancelled: None,
            returned: None,
            restocked: None,
            substituted_by: None,
        }
    }

    fn progress(&self) -> LineProgress {
        let shipped: i64 = self.parts.iter().map(|part| part.shipped).sum();
        let some = |count: i64| (count > 0).then(|| units(count));
        LineProgress {
            line: line_id(&self.name),
            shipped: some(shipped),
            cancelled: some(self.cancelled),
            returned: some(self.returned),
            restocked: None,
            substituted_by: None,
        }
    }
}

impl Document {
    fn is_shipped(&self) -> bool {
        self.lines.iter().flat_map(|line| &line.parts).any(|part| part.shipped > 0)
    }

    fn reflected_from(&self) -> Vec<SourcePosition> {
        let position = self.position.filter(|_| !self.cancelled);
        let from = position.map(|position| SourcePosition { source: source(BY_POSITION), position });
        from.into_iter().collect()
    }
}

impl Erp {
    /// The next dispatch, once.
    pub(super) fn take_dispatch(
        &mut self,
        broker: &Broker,
        promises: &OrdersReader,
        random: &mut Random,
    ) -> Option<String> {
        let subject = broker.dispatches.get(self.read)?;
        self.read += 1;
        let text = broker.content(subject);
        let dispatch: Dispatch =
            codec::decode(Encoding::Json, text.as_bytes(), text.len()).expect("a dispatch can be read");
        let (order, generation) = (dispatch.order, dispatch.generation);
        match dispatch.kind {
            DispatchKind::Create if random.chance(self.profile.refusals) => {
                let class = if random.chance(50) { FailureClass::Business } else { FailureClass::Poison };
                self.fail(&dispatch, class)
            }
            DispatchKind::Create => self.create(&dispatch, is_superseded(broker, &dispatch), promises),
            DispatchKind::Cancel => match self.documents.get(&order) {
                Some(document) if document.cancelled => self.refuse(&dispatch),
                Some(document) if document.is_shipped() => self.fail(&dispatch, FailureClass::Business),
                Some(_) => self.cancel_order(order, Some(generation)),
                None => self.refuse(&dispatch),
            },
        }
        Some(format!("{subject} is taken"))
    }

    /// There is nothing of the order to cancel, nor will there be.
    fn refuse(&mut self, cancel: &Dispatch) {
        self.refused.insert(cancel.order, cancel.generation);
        self.tell_cancelled(cancel.backend.as_str(), cancel.order, Some(cancel.generation));
    }

    fn create(&mut self, dispatch: &Dispatch, is_superseded: bool, promises: &OrdersReader) {
        let order = dispatch.order;
        let known = self.documents.get(&order).filter(|it| !it.cancelled);
        let refused = self.refused.get(&order).is_some_and(|below| dispatch.generation < *below);
        if refused || (is_superseded && known.is_none()) {
            return;
        }
        let elsewhere = known.is_some_and(|it| it.backend != dispatch.backend.as_str());
        if known.is_none() || elsewhere {
            self.numbers += 1;
            // What was told of the document before went with its generation.
            self.counted_from.remove(&order);
            self.documents.insert(order, document(self.numbers, dispatch, promises));
        }
        let Some(document) = self.documents.get_mut(&order) else { return };
        document.generation = dispatch.generation;
        document.finished = false;
        let event = OrderEvent::Acknowledged(OrderAcknowledged {
            order,
            generation: dispatch.generation,
            document: DocumentId::new(&format!("SO-{}", document.number)).expect("a number"),
            reflected_from: document.reflected_from(),
        });
        let is_old = document.lines.iter().any(|it| it.progress() != DocumentLine::untouched(&it.name));
        self.tell(dispatch.backend.as_str(), event);
        if is_old {
            // Whatever was told before may have come while the order waited for a decision.
            self.tell_all_again(order);
        }
    }

    fn fail(&mut self, dispatch: &Dispatch, class: FailureClass) {
        let (order, generation) = (dispatch.order, dispatch.generation);
        let reason = "no".to_owned();
        let failed = OrderFailed { order, generation, class, reason, attempts: 1 };
        self.tell(dispatch.backend.as_str(), OrderEvent::Failed(failed));
    }

    fn tell_cancelled(&mut self, backend: &str, order: OrderId, generation: Option<u32>) {
        self.counted_from.remove(&order);
        let reason = "as asked".to_owned();
        self.tell(backend, OrderEvent::Cancelled(OrderCancelled { order, generation, reason }));
    }

    fn tell_progress(&mut self, order: OrderId, with_position: bool) {
        let Some(document) = self.documents.get(&order) else { return };
        let lines = document.lines.iter().map(DocumentLine::progress).collect();
        self.tell_lines(order, with_position, lines);
    }

    /// What came back has left before.
    fn tell_all_again(&mut self, order: OrderId) {
        let Some(document) = self.documents.get(&order) else { return };
        let shipped = |line: &DocumentLine| LineProgress { returned: None, ..line.progress() };
        let lines = document.lines.iter().map(shipped).collect();
        self.tell_lines(order, true, lines);
        self.tell_progress(order, true);
    }

    fn tell_lines(&mut self, order: OrderId, with_position: bool, lines: Vec<LineProgress>) {
        let Some(document) = self.documents.get(&order) else { return };
        let reflected_from = if with_position { document.reflected_from() } else { Vec::new() };
        let event = OrderProgressed { order, shipment: None, lines, reflected_from };
        self.tell(&document.backend.clone(), OrderEvent::Progressed(event));
    }

    fn pick(&self, random: &mut Random, fits: impl Fn(&Document) -> bool) -> Option<OrderId> {
        let open = self.documents.iter().filter(|(_, document)| !document.cancelled && fits(document));
        let open: Vec<OrderId> = open.map(|(order, _)| *order).collect();
        random.pick(&open).copied()
    }

    /// A document reaches the state in which figures contain it, line by line where they are named.
    pub(super) fn count(&mut self, random: &mut Random) -> Option<String> {
        let uncounted =
            |it: &Document| it.lines.iter().flat_map(|it| &it.parts).any(|it| it.counted < it.units);
        let order = self.pick(random, uncounted)?;
        self.count_order(order, random.chance(40), random);
        Some(format!("{order} is counted"))
    }

    pub(crate) fn count_order(&mut self, order: OrderId, whole: bool, random: &mut Random) {
        let Some(document) = self.documents.get_mut(&order) else { return };
        for part in document.lines.iter_mut().flat_map(|line| &mut line.parts) {
            let named = keeper(&part.warehouse) != BY_POSITION;
            let least = part.counted.max(part.shipped);
            part.counted = if whole || !named { part.units } else { random.between(least, part.units) };
        }
        if document.position.is_none() {
            self.position += 1;
            document.position = Some(self.position);
            self.counted_from.insert(order, self.position);
        }
        self.tell_progress(order, true);
    }

    pub(super) fn ship(&mut self, random: &mut Random) -> Option<String> {
        let waits = |it: &Document| it.lines.iter().flat_map(|it| &it.parts).any(|it| it.shipped < it.units);
        let order = self.pick(random, waits)?;
        let whole = random.chance(50);
        let shipped = self.ship_order(order, whole, random);
        Some(format!("{order} ships {shipped} units"))
    }

    /// Ships what the shelves give, of each line the parts in their order: a report of a cancellation names no warehouse, and
    /// the ledger takes it to mean what was promised last. What leaves the shelves is counted with it.
    pub(crate) fn ship_order(&mut self, order: OrderId, whole: bool, random: &mut Random) -> i64 {
        let Some(document) = self.documents.get_mut(&order) else { return 0 };
        let mut total = 0;
        for line in &mut document.lines {
            for part in &mut line.parts {
                let most = part.units - part.shipped;
                let wanted = if whole { most } else { random.between(0, most) };
                let place = |item: &str| (item.to_owned(), part.warehouse.clone());
                let takes = |count: i64| {
                    needs(&line.item, &line.uom)
                        .into_iter()
                        .map(move |(item, n, d)| (item, base(count, n, d)))
                };
                let there =
                    takes(part.shipped + wanted).zip(takes(part.shipped)).all(|((item, to), (_, from))| {
                        self.shelves.get(&place(item)).is_some_and(|shelf| *shelf >= to - from)
                    });
                if (wanted == 0 && most > 0) || !there {
                    break;
                }
                for ((item, to), (_, from)) in takes(part.shipped + wanted).zip(takes(part.shipped)) {
                    *self.shelves.entry(place(item)).or_default() -= to - from;
                    if !part.now {
                        *self.taken_away.entry(place(item)).or_default() += to - from;
                    }
                }
                part.shipped += wanted;
                total += wanted;
                if wanted < most {
                    break;
                }
            }
        }
        if total > 0 {
            self.count_order(order, whole, random);
        }
        total
    }

    /// The backend cancels a part of a line that has not left, or a whole document.
    pub(super) fn cancel(&mut self, random: &mut Random) -> Option<String> {
        let waits = |it: &Document| it.lines.iter().flat_map(|it| &it.parts).any(|it| it.shipped < it.units);
        let order = self.pick(random, waits)?;
        if random.chance(25) {
            self.cancel_order(order, None);
            return Some(format!("{order} is cancelled by the backend"));
        }
        let document = self.documents.get_mut(&order)?;
        let lines = document.lines.len();
        let line = &mut document.lines[random.below(lines)];
        if let Some(last) = line.parts.last_mut() {
            let count = random.between(0, last.units - last.shipped);
            last.units -= count;
            last.counted = last.counted.min(last.units);
            line.cancelled += count;
            if last.units == 0 {
                line.parts.pop();
            }
        }
        self.tell_progress(order, random.chance(50));
        Some(format!("{order} is cancelled in part"))
    }

    /// What has not left will not.
    pub(crate) fn cancel_rest(&mut self, order: OrderId) {
        let Some(document) = self.documents.get_mut(&order) else { return };
        document.finished = true;
        for line in &mut document.lines {
            // Last parts first, as promises are given back.
            let left: i64 = line.parts.iter().map(|part| part.units - part.shipped).sum();
            line.cancelled += left;
            line.parts.iter_mut().for_each(|part| part.units = part.shipped);
            line.parts.iter_mut().for_each(|part| part.counted = part.counted.min(part.units));
        }
    }

    pub(crate) fn cancel_order(&mut self, order: OrderId, asked: Option<u32>) {
        let Some(document) = self.documents.get_mut(&order) else { return };
        document.cancelled = true;
        // What has left is in the figures; the rest is not any more.
        document
            .lines
            .iter_mut()
            .flat_map(|line| &mut line.parts)
            .for_each(|part| part.counted = part.shipped);
        let backend = document.backend.clone();
        self.tell_cancelled(&backend, order, asked);
    }

    pub(super) fn take_return(&mut self, random: &mut Random) -> Option<String> {
        let shipped = |it: &Document| it.is_shipped();
        let order = self.pick(random, shipped)?;
        let document = self.documents.get_mut(&order)?;
        for line in &mut document.lines {
            let shipped: i64 = line.parts.iter().map(|part| part.shipped).sum();
            let most = shipped - line.returned;
            let count = if random.chance(50) { most } else { random.between(0, most) };
            line.returned += count;
        }
        self.tell_progress(order, false);
        Some(format!("{order} is returned"))
    }
}

/// Whether the order was dispatched again since.
fn is_superseded(broker: &Broker, dispatch: &Dispatch) -> bool {
    let of_order = format!(".{}.", dispatch.order);
    let generation = |subject: &String| {
        let (_, generation) = subject.split_once(&of_order)?;
        generation.parse::<u32>().ok()
    };
    broker.dispatches.iter().filter_map(generation).any(|other| other > dispatch.generation)
}

/// What was promised from the shelf the narrator knows, and the backend does not need to.
fn document(number: u64, dispatch: &Dispatch, promises: &OrdersReader) -> Document {
    let record = promises.order(&dispatch.order);
    let lines = dispatch.lines.iter().map(|line| {
        let known = record.iter().flat_map(|it| &it.lines).find(|it| it.line == line.line);
        let from_shelf =
            |at: usize| known.and_then(|it| it.allocations.get(at)).is_some_and(|it| it.when == Promise::Now);
        let parts = line.promised.iter().enumerate().map(|(at, part)| Part {
            warehouse: part.warehouse.as_ref().expect("promised from somewhere").to_string(),
            now: from_shelf(at),
            units: part.quantity.micros() / 1_000_000,
            counted: 0,
            shipped: 0,
        });
        DocumentLine {
            name: line.line.to_string(),
            item: line.item.to_string(),
            uom: line.uom.to_string(),
            parts: parts.collect(),
            cancelled: 0,
            returned: 0,
        }
    });
    let (backend, generation) = (dispatch.backend.to_string(), dispatch.generation);
    let lines = lines.collect();
    Document { number, backend, generation, cancelled: false, finished: false, position: None, lines }
}
