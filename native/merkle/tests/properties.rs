//! Trees, frontiers and tiles against RFC 6962's own recursion; proofs against RFC 9162's verification.

use merkle::{
    bundle_items, consistency_path, entry_bundle, entry_bundles, frontier_extend, frontier_root, hash_items,
    inclusion_path, root, split_items, tile_hashes, Hash, Tree, EMPTY_ROOT, TILE_WIDTH,
};
use proptest::prelude::*;

fn leaves(tree: Tree, count: usize) -> Vec<Hash> {
    (0..count as u64).map(|index| tree.leaf(&index.to_be_bytes())).collect()
}

/// RFC 6962 section 2.1, as it is written.
fn recursive(tree: Tree, hashes: &[Hash]) -> Hash {
    match hashes {
        [] => EMPTY_ROOT,
        [only] => *only,
        _ => {
            let mut split = 1;
            while split * 2 < hashes.len() {
                split *= 2;
            }
            tree.node(&recursive(tree, &hashes[..split]), &recursive(tree, &hashes[split..]))
        }
    }
}

/// RFC 9162 section 2.1.3.2.
fn root_by_inclusion(tree: Tree, index: usize, size: usize, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    let (mut fn_, mut sn, mut r) = (index, size - 1, leaf);
    for p in path {
        if sn == 0 {
            return None;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            r = tree.node(p, &r);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            r = tree.node(&r, p);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    (sn == 0).then_some(r)
}

/// RFC 9162 section 2.1.4.2; both roots as the proof gives them.
fn roots_by_consistency(size1: usize, size2: usize, root1: Hash, proof: &[Hash]) -> Option<(Hash, Hash)> {
    let mut path = proof.to_vec();
    if size1.is_power_of_two() {
        path.insert(0, root1);
    }
    let (mut fn_, mut sn) = (size1 - 1, size2 - 1);
    while fn_ & 1 == 1 {
        fn_ >>= 1;
        sn >>= 1;
    }
    let (mut fr, mut sr) = (*path.first()?, *path.first()?);
    for c in &path[1..] {
        if sn == 0 {
            return None;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            (fr, sr) = (Tree::Log.node(c, &fr), Tree::Log.node(c, &sr));
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            sr = Tree::Log.node(&sr, c);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    (sn == 0).then_some((fr, sr))
}

#[test]
fn every_small_size_agrees_with_the_recursion() {
    for tree in [Tree::Log, Tree::Body] {
        let all = leaves(tree, 260);
        for size in 0..=all.len() {
            assert_eq!(root(tree, &all[..size]), recursive(tree, &all[..size]), "size {size}");
        }
    }
}

#[test]
fn every_small_proof_verifies_and_no_other_place_does() {
    let all = leaves(Tree::Log, 40);
    for size in 1..=all.len() {
        let expected = root(Tree::Log, &all[..size]);
        for index in 0..size {
            let path = inclusion_path(Tree::Log, &all[..size], index).unwrap();
            for place in 0..size {
                let found = root_by_inclusion(Tree::Log, place, size, all[index], &path);
                assert_eq!(found == Some(expected), place == index, "size {size} index {index} place {place}");
            }
        }
        for size1 in 1..size {
            let root1 = root(Tree::Log, &all[..size1]);
            let proof = consistency_path(Tree::Log, &all[..size], size1).unwrap();
            assert_eq!(roots_by_consistency(size1, size, root1, &proof), Some((root1, expected)), "{size1} to {size}");
        }
        assert_eq!(consistency_path(Tree::Log, &all[..size], size), Ok(vec![]));
    }
}

#[test]
fn what_does_not_exist_is_refused() {
    let all = leaves(Tree::Log, 5);
    assert!(inclusion_path(Tree::Log, &all, 5).is_err());
    assert!(inclusion_path(Tree::Log, &[], 0).is_err());
    assert!(consistency_path(Tree::Log, &all, 0).is_err());
    assert!(consistency_path(Tree::Log, &all, 6).is_err());
    assert!(frontier_root(Tree::Log, 5, &all[..1]).is_err());
    assert!(frontier_extend(Tree::Log, 4, &all[..2], &all).is_err());
    assert!(frontier_extend(Tree::Log, u64::MAX, &vec![all[0]; 64], &all).is_err());
    assert!(tile_hashes(Tree::Log, &all, &mut [EMPTY_ROOT]).is_err());
    assert!(split_items(b"abc", &[1, 1]).is_err());
    assert!(split_items(b"abc", &[1, 3]).is_err());
    assert!(bundle_items(b"\x00").is_err());
    assert!(bundle_items(b"\x00\x03ab").is_err());
    assert!(entry_bundle(&[&vec![0; 65_536][..]]).is_err());
    assert_eq!(entry_bundle(&[&vec![7; 65_535][..]]).unwrap().len(), 65_537);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn large_trees_agree_with_the_recursion(size in 1000usize..9000, index in any::<prop::sample::Index>()) {
        let all = leaves(Tree::Log, size);
        let expected = recursive(Tree::Log, &all);
        prop_assert_eq!(root(Tree::Log, &all), expected);
        let index = index.index(size);
        let path = inclusion_path(Tree::Log, &all, index).unwrap();
        prop_assert_eq!(root_by_inclusion(Tree::Log, index, size, all[index], &path), Some(expected));
        let root1 = root(Tree::Log, &all[..index + 1]);
        if index + 1 < size {
            let proof = consistency_path(Tree::Log, &all, index + 1).unwrap();
            prop_assert_eq!(roots_by_consistency(index + 1, size, root1, &proof), Some((root1, expected)));
        }
    }

    #[test]
    fn a_frontier_grows_in_any_steps(steps in prop::collection::vec(0usize..3000, 1..6)) {
        let all = leaves(Tree::Log, steps.iter().sum());
        let (mut size, mut frontier) = (0, Vec::new());
        for step in steps {
            frontier = frontier_extend(Tree::Log, size as u64, &frontier, &all[size..size + step]).unwrap();
            size += step;
            prop_assert_eq!(frontier.len(), size.count_ones() as usize);
            prop_assert_eq!(frontier_root(Tree::Log, size as u64, &frontier), Ok(root(Tree::Log, &all[..size])));
        }
    }

    #[test]
    fn tiles_are_subtrees(size in 0usize..6000) {
        let all = leaves(Tree::Log, size);
        let mut level = vec![EMPTY_ROOT; size / TILE_WIDTH];
        tile_hashes(Tree::Log, &all, &mut level).unwrap();
        for (number, hash) in level.iter().enumerate() {
            prop_assert_eq!(*hash, recursive(Tree::Log, &all[number * TILE_WIDTH..][..TILE_WIDTH]));
        }
    }

    #[test]
    fn items_are_hashed_and_bundled_in_order(items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 0..400)) {
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let mut hashes = vec![EMPTY_ROOT; items.len()];
        hash_items(Tree::Log, &items, &mut hashes);
        prop_assert_eq!(&hashes, &items.iter().map(|item| Tree::Log.leaf(item)).collect::<Vec<_>>());
        let bundle = entry_bundle(&items).unwrap();
        prop_assert_eq!(&bundle_items(&bundle).unwrap(), &items);
        let bundles = entry_bundles(&items).unwrap();
        prop_assert_eq!(bundles.len(), items.len().div_ceil(TILE_WIDTH));
        prop_assert_eq!(&bundles.concat(), &bundle);
        prop_assert!(bundles.iter().rev().skip(1).all(|full| bundle_items(full).unwrap().len() == TILE_WIDTH));
        let lengths: Vec<usize> = items.iter().map(|item| item.len()).collect();
        let data = items.concat();
        prop_assert_eq!(&split_items(&data, &lengths).unwrap(), &items);
    }
}
