package transport

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// FORMAT of the handshake, little endian:
//
//	dialler:   hello
//	acceptor:  verdict 1 | hello | proof 32
//	dialler:   verdict 1 | proof 32
//	acceptor:  verdict 1
//
//	hello:     "CONTRAIL" 8 | version 1 | length of cluster 1 | node 8 | to 8 | incarnation 8 | nonce 32 | purpose 1 | cluster
//	proof:     HMAC-SHA256 with the cluster key of: label | role 1 | TLS binding 32 | dialler's hello | acceptor's hello
//
// The purpose is what the dialler wants the connection for: 0 messages, 1 a stream; the acceptor repeats it. A verdict other than 0 ends the handshake. To is whom the side believes to talk to. The role tells the two proofs apart, so
// that none can be sent back to who made it. The binding is zero without TLS.
const (
	version    = 2
	magic      = "CONTRAIL"
	proofLabel = "contrail node handshake 1"
	nonceBytes = 32
	helloHead  = 35 + nonceBytes
	clusterMax = 255

	forMessages = 0
	forStream   = 1

	roleDialler  = 'D'
	roleAcceptor = 'A'
)

// verdict is what one side thinks of the other.
type verdict byte

const (
	welcome verdict = iota
	otherVersion
	otherCluster
	otherNode
	otherKey
	notVetted
	noStreams
	manyStreams
)

var verdicts = [...]string{"welcome", "another protocol version", "another cluster", "another node than expected",
	"another cluster key", "node or incarnation not accepted", "it takes no streams", "it has too many streams of this node"}

func (v verdict) String() string {
	if int(v) < len(verdicts) {
		return verdicts[v]
	}
	return fmt.Sprintf("verdict %d", byte(v))
}

// hello is how a side introduces itself.
type hello struct {
	version               uint8
	node, to, incarnation uint64
	nonce                 [nonceBytes]byte
	purpose               uint8
	cluster               string
}

func (h *hello) append(dst []byte) []byte {
	dst = append(append(dst, magic...), h.version, uint8(len(h.cluster)))
	dst = binary.LittleEndian.AppendUint64(dst, h.node)
	dst = binary.LittleEndian.AppendUint64(dst, h.to)
	dst = binary.LittleEndian.AppendUint64(dst, h.incarnation)
	return append(append(append(dst, h.nonce[:]...), h.purpose), h.cluster...)
}

// readHello reads no byte more than the hello has.
func readHello(r io.Reader) (hello, error) {
	var h hello
	var b [helloHead + clusterMax]byte
	if _, err := io.ReadFull(r, b[:helloHead]); err != nil {
		return h, fmt.Errorf("handshake: %w", err)
	}
	if string(b[:8]) != magic {
		return h, fmt.Errorf("handshake begins with %q; a node says %q", b[:8], magic)
	}
	h.version = b[8]
	h.node, h.to = binary.LittleEndian.Uint64(b[10:]), binary.LittleEndian.Uint64(b[18:])
	h.incarnation = binary.LittleEndian.Uint64(b[26:])
	copy(h.nonce[:], b[34:])
	h.purpose = b[helloHead-1]
	cluster := b[helloHead : helloHead+int(b[9])]
	if _, err := io.ReadFull(r, cluster); err != nil {
		return h, fmt.Errorf("handshake: %w", err)
	}
	h.cluster = string(cluster)
	return h, nil
}

// identity is what a node needs to shake hands.
type identity struct {
	cluster           string
	node, incarnation uint64
	key               []byte
	vet               func(node, incarnation uint64) error
}

// refusal is why the other side was not accepted here.
type refusal struct {
	verdict verdict
	node    uint64
	reason  string
}

func (r *refusal) Error() string { return fmt.Sprintf("node %d refused: %s", r.node, r.reason) }

func (id *identity) hello(to uint64, purpose uint8) hello {
	h := hello{version: version, node: id.node, to: to, incarnation: id.incarnation, purpose: purpose, cluster: id.cluster}
	_, _ = rand.Read(h.nonce[:]) // it never fails
	return h
}

// check compares a hello with what is expected of it; from 0: any other node.
func (id *identity) check(h *hello, from uint64) error {
	switch {
	case h.version != version:
		return &refusal{otherVersion, h.node, fmt.Sprintf("its protocol version is %d, ours %d", h.version, version)}
	case h.cluster != id.cluster:
		return &refusal{otherCluster, h.node, fmt.Sprintf("its cluster is %q, ours %q", h.cluster, id.cluster)}
	case h.to != id.node:
		return &refusal{otherNode, h.node, fmt.Sprintf("it looks for node %d, this is node %d", h.to, id.node)}
	case h.node == id.node || h.node == 0:
		return &refusal{otherNode, h.node, fmt.Sprintf("it says to be node %d, this is node %d", h.node, id.node)}
	case from != 0 && h.node != from:
		return &refusal{otherNode, h.node, fmt.Sprintf("it says to be node %d where node %d is expected", h.node, from)}
	}
	return nil
}

// prove makes the proof of one role.
func (id *identity) prove(role byte, binding, dialler, acceptor []byte) []byte {
	mac := hmac.New(sha256.New, id.key)
	mac.Write([]byte(proofLabel))
	mac.Write([]byte{role})
	mac.Write(binding)
	mac.Write(dialler)
	mac.Write(acceptor)
	return mac.Sum(nil)
}

// judge decides on the other side's proof and asks whether it is wanted.
func (id *identity) judge(h *hello, proof, want []byte) error {
	if !hmac.Equal(proof, want) {
		return &refusal{otherKey, h.node, "its proof of the cluster key is wrong"}
	}
	if id.vet == nil {
		return nil
	}
	if err := id.vet(h.node, h.incarnation); err != nil {
		return &refusal{notVetted, h.node, err.Error()}
	}
	return nil
}

// refuse tells the other side why, if err is a refusal.
func refuse(w io.Writer, err error) error {
	var r *refusal
	if errors.As(err, &r) {
		_, _ = w.Write([]byte{byte(r.verdict)}) // it learns it from the end of the connection otherwise
	}
	return err
}

func readVerdict(r io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return fmt.Errorf("handshake: the peer ended it: %w", err)
	}
	if v := verdict(b[0]); v != welcome {
		return fmt.Errorf("handshake: the peer refused this node: %v", v)
	}
	return nil
}

// dial shakes hands as the dialler with node to.
func (id *identity) dial(conn net.Conn, to uint64, purpose uint8) error {
	binding, err := bindingOf(conn)
	if err != nil {
		return err
	}
	own := id.hello(to, purpose)
	dialler := own.append(nil)
	if _, err := conn.Write(dialler); err != nil {
		return err
	}
	if err := readVerdict(conn); err != nil {
		return err
	}
	theirs, err := readHello(conn)
	if err != nil {
		return err
	}
	var proof [sha256.Size]byte
	if _, err := io.ReadFull(conn, proof[:]); err != nil {
		return err
	}
	acceptor := theirs.append(nil)
	if err := id.check(&theirs, to); err != nil {
		return refuse(conn, err)
	}
	if err := id.judge(&theirs, proof[:], id.prove(roleAcceptor, binding, dialler, acceptor)); err != nil {
		return refuse(conn, err)
	}
	if _, err := conn.Write(append([]byte{byte(welcome)}, id.prove(roleDialler, binding, dialler, acceptor)...)); err != nil {
		return err
	}
	return readVerdict(conn)
}

// accept shakes hands as the acceptor, up to the last verdict, and returns the dialler's hello. The last verdict is the
// caller's, who makes ready for what the dialler sends on it.
func (id *identity) accept(conn net.Conn) (*hello, error) {
	binding, err := bindingOf(conn)
	if err != nil {
		return nil, err
	}
	theirs, err := readHello(conn)
	if err != nil {
		return nil, err
	}
	if err := id.check(&theirs, 0); err != nil {
		return nil, refuse(conn, err)
	}
	own := id.hello(theirs.node, theirs.purpose)
	dialler, acceptor := theirs.append(nil), own.append(nil)
	answer := append([]byte{byte(welcome)}, acceptor...)
	if _, err := conn.Write(append(answer, id.prove(roleAcceptor, binding, dialler, acceptor)...)); err != nil {
		return nil, err
	}
	if err := readVerdict(conn); err != nil {
		return nil, err
	}
	var proof [sha256.Size]byte
	if _, err := io.ReadFull(conn, proof[:]); err != nil {
		return nil, err
	}
	if err := id.judge(&theirs, proof[:], id.prove(roleDialler, binding, dialler, acceptor)); err != nil {
		return nil, refuse(conn, err)
	}
	return &theirs, nil
}

// greet is the last verdict.
func greet(conn net.Conn, v verdict) error {
	_, err := conn.Write([]byte{byte(v)})
	return err
}

// bindingOf is what both ends of one TLS connection know and nobody between two of them.
func bindingOf(conn net.Conn) ([]byte, error) {
	tc, ok := conn.(*tls.Conn)
	if !ok {
		return make([]byte, sha256.Size), nil
	}
	if err := tc.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	state := tc.ConnectionState()
	return state.ExportKeyingMaterial("EXPORTER-contrail-node", nil, sha256.Size)
}
