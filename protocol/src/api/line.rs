//! What lookups, orders and holds say alike of a line.

use super::{ItemType, RequestedQuantity};

/// What a line names, as it names it.
#[derive(Debug, Clone, Copy)]
pub struct LineAsked<'l> {
    pub item: &'l str,
    pub item_type: ItemType,
    pub quantity: &'l RequestedQuantity,
    pub uom: Option<&'l str>,
    pub warehouse: Option<&'l str>,
}

/// Declares a line of a request: its name, the fields of every line with `contract` where the line has one, and then
/// its own. A macro and not a struct within the struct, because `#[serde(flatten)]` gives up `deny_unknown_fields`; and
/// a request's fingerprint goes over the fields in this order.
macro_rules! request_line {
    (
        $(#[$meta:meta])*
        $name:ident { $(#[$line_meta:meta])* $line:ty } $([$contract:ident])? { $($own:tt)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name {
            $(#[$line_meta])*
            #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
            pub line: $line,
            #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
            pub item: CompactString,
            /// Whose number `item` is; without: the distributor's own.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub item_type: Option<ItemType>,
            /// A positive decimal of at most 6 places, as a string.
            #[cfg_attr(feature = "openapi", schema(value_type = String, example = "12"))]
            pub quantity: RequestedQuantity,
            /// Without: the reference's unit, else the base unit.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
            pub uom: Option<CompactString>,
            $(
                /// Price by this contract first.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
                pub $contract: Option<CompactString>,
            )?
            /// Ship from this warehouse only.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
            pub warehouse: Option<CompactString>,
            $($own)*
        }

        impl $name {
            /// What the line names.
            pub fn asked(&self) -> $crate::api::LineAsked<'_> {
                $crate::api::LineAsked {
                    item: &self.item,
                    item_type: self.item_type.unwrap_or_default(),
                    quantity: &self.quantity,
                    uom: self.uom.as_deref(),
                    warehouse: self.warehouse.as_deref(),
                }
            }
        }
    };
}
pub(super) use request_line;
