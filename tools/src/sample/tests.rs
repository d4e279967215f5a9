use std::collections::BTreeSet;

use super::*;

#[test]
fn the_same_arguments_give_the_same_files() {
    let as_of = LocalDate::parse("2026-11-23").unwrap();
    let written = |seed| {
        let folder = tempfile::tempdir().unwrap();
        files::write(&distributor(60, seed).unwrap(), as_of, folder.path()).unwrap();
        ["erp/ITEMMAST.TXT", "erp/SPECIALS.CSV", "wms/STOCK_DAL.DAT"]
            .map(|name| std::fs::read(folder.path().join(name)).unwrap())
    };
    assert_eq!(written(1), written(1));
    assert_ne!(written(1), written(2));
}

#[test]
fn ids_are_unique_and_refer_to_each_other() {
    let distributor = distributor(500, 1).unwrap();
    let items: BTreeSet<&str> = distributor.items.iter().map(|item| item.item.as_str()).collect();
    let accounts: BTreeSet<&str> = distributor.accounts.iter().map(|a| a.account.as_str()).collect();
    assert_eq!((items.len(), accounts.len()), (distributor.items.len(), distributor.accounts.len()));
    let contracts: BTreeSet<&str> =
        distributor.scopes.iter().filter_map(|scope| scope.contract.as_deref()).collect();
    for item in &distributor.items {
        let others = item.kit.iter().map(|part| &part.item).chain(item.relations.iter().map(|r| &r.item));
        assert!(others.clone().all(|other| items.contains(other.as_str())), "{}", item.item);
        let named = item.prices.iter().filter_map(|price| price.contract.as_deref());
        assert!(named.clone().all(|contract| contracts.contains(contract)), "{}", item.item);
        assert!(item.stock.iter().all(|cell| generate::WAREHOUSES.contains(&cell.warehouse.as_str())));
    }
    let above = distributor.accounts.iter().flat_map(|account| account.parent.iter().chain(&account.root));
    assert!(above.clone().all(|account| accounts.contains(account.as_str())));
    assert!(distributor.items.iter().any(|item| item.prices.is_empty() && item.kit.is_empty()));
}

#[test]
fn the_adapter_takes_the_mappings() {
    for text in [include_str!("erp.toml"), include_str!("wms.toml")] {
        if let Err(error) = pannier_adapters::files::FilesConfig::parse(text) {
            panic!("{error}");
        }
    }
}

#[test]
fn the_readme_shows_every_request_and_the_first_as_it_is_run() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let all = requests::Documented::read_all(format!("{root}/tools/src/sample/requests").as_ref()).unwrap();
    for request in &all {
        let link = format!("{} | {} | [", request.shows, request.rule);
        let file = format!("tools/src/sample/requests/{}.json", request.name);
        assert!(
            readme.contains(&link) && readme.contains(&file),
            "the README does not show {}",
            request.name
        );
    }
    let between = |from: &str, to: &str| readme.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(json(between("<<'END'\n", "END\n")), all[0].request);
    assert_eq!(json(between("```json\n", "```")), all[0].answer);
}
