package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"

	"github.com/contrailmq/contrail/broker/vfs"
)

const (
	fileName = "node"
	fileMax  = 1 << 20
	version  = 1
)

// file is what is kept in the data folder.
type file struct {
	Version     int               `json:"version"`
	Node        uint64            `json:"node"`
	Incarnation uint64            `json:"incarnation"`
	Peers       map[uint64]uint64 `json:"peers"` // node → incarnation
	// Groups are the broker groups of which this node has a member, with the nodes that founded them.
	Groups map[string][]uint64 `json:"groups,omitempty"`
}

// Identity is this node's, and what it remembers of the others.
type Identity struct {
	fs   vfs.FS
	path string
	mu   sync.Mutex
	file file
}

// ErrWiped refuses a node that came back with another incarnation.
var ErrWiped = errors.New("the node lost its data folder")

// Open reads the identity of node from dir, or draws one at the very first start.
func Open(fsys vfs.FS, dir string, node uint64) (*Identity, error) {
	i := &Identity{fs: fsys, path: filepath.Join(dir, fileName)}
	b, err := vfs.ReadFile(fsys, i.path, fileMax)
	if errors.Is(err, fs.ErrNotExist) {
		i.file = file{Version: version, Node: node, Incarnation: rand.Uint64(), Peers: map[uint64]uint64{}}
		return i, i.saveLocked()
	}
	if err == nil {
		err = json.Unmarshal(b, &i.file)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", i.path, err)
	case i.file.Version != version:
		return nil, fmt.Errorf("%s has version %d, this program knows %d", i.path, i.file.Version, version)
	case i.file.Node != node:
		return nil, fmt.Errorf("%s belongs to node %d, the configuration says %d", i.path, i.file.Node, node)
	}
	if i.file.Peers == nil {
		i.file.Peers = map[uint64]uint64{}
	}
	return i, nil
}

// Incarnation is this node's.
func (i *Identity) Incarnation() uint64 { return i.file.Incarnation }

// Vet remembers a peer that is met for the first time, and refuses one that is not the one it was.
func (i *Identity) Vet(node, incarnation uint64) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.file.Peers[node]
	if ok && known != incarnation {
		return fmt.Errorf("node %d has incarnation %x and had %x: %w; it may join again under a new id", node, incarnation, known, ErrWiped)
	}
	if ok {
		return nil
	}
	i.file.Peers[node] = incarnation
	if err := i.saveLocked(); err != nil {
		delete(i.file.Peers, node)
		return fmt.Errorf("remember node %d: %w", node, err)
	}
	return nil
}

// ErrLogGone refuses a member whose log was here and is not any more: it would vote without knowing what it promised.
var ErrLogGone = errors.New("the member's log was here and is gone")

// Check is asked before a member of a broker group is opened. empty: there is no log.
func (i *Identity) Check(group string, founders []uint64, empty bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, ok := i.file.Groups[group]
	if !ok {
		return nil
	}
	if empty {
		return fmt.Errorf("broker group %s: %w: is a disk not mounted? If it is lost, the node joins again under a new id", group, ErrLogGone)
	}
	for _, id := range founders {
		if !slices.Contains(known, id) {
			return fmt.Errorf("broker group %s was founded by nodes %v, the configuration says %v: nodes that were added are not founders, or those that are new found a group of their own", group, known, founders)
		}
	}
	return nil
}

// Opened remembers a broker group whose member was opened; it must be called before the member hears others.
func (i *Identity) Opened(group string, founders []uint64) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, ok := i.file.Groups[group]; ok {
		return nil
	}
	if i.file.Groups == nil {
		i.file.Groups = map[string][]uint64{}
	}
	i.file.Groups[group] = founders
	if err := i.saveLocked(); err != nil {
		delete(i.file.Groups, group)
		return fmt.Errorf("remember broker group %s: %w", group, err)
	}
	return nil
}

func (i *Identity) saveLocked() error {
	b, err := json.Marshal(&i.file)
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(i.fs, i.path, b)
}
