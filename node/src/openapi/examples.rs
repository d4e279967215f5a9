//! Examples of the document, each of them readable by the wire types (a test reads them).

use pannier_protocol::api::{ErrorCode, Problem};
use serde_json::{Value, json};

pub(super) fn request() -> Value {
    json!({
        "account": "C-1001", "ship_to": "C-1001-02", "currency": null, "channel": "web",
        "pricing_date": "2026-11-23T09:00:00Z",
        "max_staleness_ms": {"price": 86_400_000, "availability": 5_000},
        "at_least": "7f3a.L81234.S551.P90",
        "include": ["price", "breaks", "availability", "warehouses"],
        "lines": [{"line": "1", "item": "SKU-4711", "item_type": "own", "quantity": "12", "uom": "BX",
                   "contract": null, "warehouse": null, "requested_date": null}],
    })
}

pub(super) fn answer() -> Value {
    json!({
        "as_of": "7f3a.L81240.S551.P90", "account": "C-1001", "currency": "USD",
        "pricing_date": "2026-11-23T09:00:00Z",
        "sources": [
            {"source": "erp-1", "table": "prices", "epoch": 412, "sequence": 8_812, "state": "fresh", "age_ms": 4_100},
            {"source": "wms-1", "table": "stock", "epoch": 9, "sequence": 88_120, "state": "fresh", "age_ms": 180},
        ],
        "lines": [{
            "line": "1", "item": "SKU-4711", "status": "ok",
            "price": {
                "unit_price": "1.2", "per": "1", "uom": "EA", "order_unit_price": "12", "extended": "144.00",
                "level": "customer_contract", "contract": "K-7", "valid_until": "2027-01-01T06:00:00Z",
                "breaks": [{"min_quantity": "10", "uom": "BX", "unit_price": "1.2"},
                           {"min_quantity": "50", "uom": "BX", "unit_price": "1.1"}],
                "next_break": {"min_quantity": "50", "uom": "BX", "unit_price": "1.1"},
            },
            "availability": {
                "uom": "BX", "status": "in_stock", "available": "37", "backorder_allowed": true,
                "multiple": "1", "minimum": "1", "earliest_full_date": "2026-11-23",
                "warehouses": [{"warehouse": "DAL", "available": "30"}, {"warehouse": "HOU", "available": "7"}],
            },
            "freshness": {"price": {"state": "fresh", "age_ms": 4_100},
                          "availability": {"state": "fresh", "age_ms": 180}},
        }],
        "total": {"extended": "144.00", "lines_priced": 1, "complete": true},
    })
}

/// Of one code, with a detail as the node words it.
pub(super) fn problem(code: ErrorCode) -> Value {
    let detail = match code {
        ErrorCode::InvalidRequest => "lines[0].item: invalid type: integer `4711`, expected a string",
        ErrorCode::UnknownAccount => "the account is not known, or the ship-to is not one of the account's",
        ErrorCode::AccountBlocked => "the account is blocked by its source",
        ErrorCode::NotAcceptable => "Accept allows neither application/json nor application/msgpack",
        ErrorCode::UnsupportedMediaType => {
            "content type \"text/csv\" is neither application/msgpack nor application/json"
        }
        ErrorCode::TooLarge => "the body is larger than 524288 bytes; split the basket",
        ErrorCode::TooManyRequests => {
            "1024 lookups are under way, which is all that this node takes; ask again"
        }
        ErrorCode::Behind => {
            "the node is not yet at 7f3a.L81240.S551.P90, after 2000 ms; ask again, or another node"
        }
        ErrorCode::NotReady => "catching up with the streams as they were at start",
        ErrorCode::IdempotencyKeyMissing
        | ErrorCode::Unauthenticated
        | ErrorCode::UnknownOrder
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::InProgress
        | ErrorCode::KeyReused
        | ErrorCode::Internal
        | ErrorCode::LedgerUnavailable => code.title(),
    };
    json!(Problem { correlation_id: Some("cart-8841".to_owned()), ..Problem::new(code, detail) })
}

pub(super) fn readiness(state: &str, detail: &str, applied: u64) -> Value {
    json!({
        "state": state, "detail": detail, "connected": true, "incarnation": "7f3a",
        "load": {"source": "disk", "name": "7f3a.L81200.C551.checkpoint", "rows": 25_110_000, "bytes": 481_203_112,
                 "bytes_total": 481_203_112, "seconds_left": 0},
        "seconds_left": null,
        "applied": {"ledger": applied, "catalog": 551},
        "start": {"ledger": 81_234, "catalog": 551},
        "end": {"ledger": 81_240, "catalog": 551},
    })
}

/// Of a query parameter.
pub(super) fn parameter(name: &str) -> &'static str {
    match name {
        "account" => "C-1001",
        "ship_to" => "C-1001-02",
        "quantity" => "12",
        "uom" => "BX",
        "item_type" => "own",
        "currency" => "USD",
        "channel" => "web",
        "contract" => "K-7",
        "warehouse" => "DAL",
        "requested_date" => "2026-11-23",
        "pricing_date" => "2026-11-23T09:00:00Z",
        "include" => "price,breaks,availability",
        "at_least" => "7f3a.L81234.S551.P90",
        "priority" => "checkout",
        "max_staleness_ms" => "5000",
        _ => "",
    }
}

pub(super) const ORDER: &str = "3m5h9q2k7c0000000000000001";

pub(super) fn order_request() -> Value {
    json!({
        "account": "C-1001", "ship_to": "C-1001-02", "purchase_order": "PO-778", "channel": "web",
        "ship_complete": false, "references": {"cart": "8841"},
        "lines": [{"line": "1", "item": "SKU-4711", "quantity": "12", "uom": "BX", "unit_price": "12",
                   "if_short": "backorder"}],
    })
}

pub(super) fn order_answer() -> Value {
    json!({
        "order": ORDER, "state": "accepted", "as_of": "7f3a.L81241.S0.P0", "account": "C-1001",
        "purchase_order": "PO-778", "currency": "USD", "total": "144", "backend": "erp-1",
        "lines": [{
            "line": "1", "item": "SKU-4711", "state": "accepted", "reasons": [], "quantity": "12", "uom": "BX",
            "promised": [{"quantity": "12", "date": "2026-11-23", "warehouse": "DAL"}],
            "price": {"unit_price": "0.12", "per": "1", "uom": "EA", "extended": "144", "level": "customer_contract",
                      "contract": "K-7", "row": {"source": "erp-1", "epoch": 412, "sequence": 8_812}},
            "shipped": "0", "cancelled": "0", "returned": "0",
        }],
    })
}

pub(super) fn order_steps() -> Value {
    json!({
        "order": ORDER, "state": "accepted", "position": 81_241,
        "steps": [{"id": "81241.0", "at": "2026-11-23T09:00:00Z", "state": "accepted", "what": "placed: accepted"}],
    })
}

pub(super) fn hold_request() -> Value {
    json!({
        "account": "C-1001", "expires_at": "2026-11-23T09:15:00Z",
        "lines": [{"line": "1", "item": "SKU-4711", "quantity": "12", "uom": "BX"}],
    })
}

pub(super) fn hold_answer() -> Value {
    json!({
        "hold": ORDER, "state": "held", "as_of": "7f3a.L81241.S0.P0", "account": "C-1001",
        "expires_at": "2026-11-23T09:15:00Z",
        "lines": [{"line": "1", "item": "SKU-4711", "state": "accepted", "reasons": [], "quantity": "12", "uom": "BX",
                   "promised": [{"quantity": "12", "date": "2026-11-23", "warehouse": "DAL"}]}],
    })
}
