package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/contrailmq/contrail/broker/grpcapi"
	"github.com/contrailmq/contrail/broker/remoting"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
)

// grpcConfig is the port of RocketMQ's 5.x clients; with several nodes replication.nodes[].grpc says where, listen is not used, and advertise is what
// stands in front of all of them, if anything does.
type grpcConfig struct {
	Listen     string `yaml:"listen"`    // empty: no such port
	Advertise  string `yaml:"advertise"` // host:port that clients are told to dial; empty: found by itself
	Cert       string `yaml:"cert"`      // PEM files; without them a certificate that nobody vouches for is made at the start
	Key        string `yaml:"key"`
	TLS        string `yaml:"tls"`        // permissive, enforcing, disabled (RocketMQ's tls.server.mode)
	Reflection bool   `yaml:"reflection"` // tells tools which calls there are
}

const (
	tlsPermissive = "permissive" // with TLS or without, as the client begins
	tlsEnforcing  = "enforcing"
	tlsDisabled   = "disabled"
)

func (c *grpcConfig) check() error {
	if (c.Cert == "") != (c.Key == "") {
		return fmt.Errorf("grpc: cert %q, key %q; both or none are possible", c.Cert, c.Key)
	}
	if c.TLS != tlsPermissive && c.TLS != tlsEnforcing && c.TLS != tlsDisabled {
		return fmt.Errorf("grpc.tls: %q; permissive, enforcing and disabled are possible", c.TLS)
	}
	if c.TLS == tlsDisabled && c.Cert != "" {
		return fmt.Errorf("grpc: tls is disabled, and cert is %q; possible are permissive and enforcing, or no cert", c.Cert)
	}
	if c.Cert != "" {
		if _, err := tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
			return fmt.Errorf("grpc.cert, grpc.key: %w", err)
		}
	}
	for field, addr := range map[string]string{"listen": c.Listen, "advertise": c.Advertise} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("grpc.%s: %q is not host:port", field, addr)
		}
	}
	return nil
}

// grpcAt is where the port is opened, and what clients dial; "": nowhere.
func (c *config) grpcAt() (listen, advertise string) {
	if c.Replication.on() {
		own := c.Replication.node(c.Replication.ID).GRPC
		return own, own
	}
	listen, advertise = c.GRPC.Listen, c.GRPC.Advertise
	if advertise == "" && listen != "" {
		host, port, _ := net.SplitHostPort(listen)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = ownIP()
		}
		advertise = net.JoinHostPort(host, port)
	}
	return listen, advertise
}

func (n *node) startGRPC() error {
	listen, advertise := n.conf.grpcAt()
	if listen == "" {
		return nil
	}
	certificate, err := n.certificate(advertise)
	if err != nil {
		return err
	}
	key, err := n.receiptKey()
	if err != nil {
		return err
	}
	front := ""
	if n.conf.Replication.on() {
		front = n.conf.GRPC.Advertise
	}
	s, err := grpcapi.Start(grpcapi.Options{
		Listen: listen, TLS: certificate, Key: key, Members: n.grpcMembers, MaxDelay: time.Duration(n.conf.Timers.MaxDelay),
		Reflection: n.conf.GRPC.Reflection, Log: n.log, Meters: otel.GetMeterProvider(), Own: advertise, Others: n.grpcOthers, Front: front, TLSOnly: n.conf.GRPC.TLS == tlsEnforcing,
	})
	if err != nil {
		return fmt.Errorf("%w (grpc.listen)", err)
	}
	n.onStop(s.Shutdown)
	n.log.Info("gRPC listens", "address", s.Addr(), "clientsDial", cmp.Or(front, advertise), "tls", n.conf.GRPC.TLS, "certificate", cmp.Or(n.conf.GRPC.Cert, "made at this start"))
	return nil
}

// grpcMembers are this node's members of broker groups whose ports are open.
func (n *node) grpcMembers() []*grpcapi.Member {
	all := n.brokers.all()
	members := make([]*grpcapi.Member, 0, len(all))
	for _, b := range all {
		if m := b.grpc.Load(); m != nil {
			members = append(members, m)
		}
	}
	return members
}

// grpcMember is what the gRPC front needs of a member.
func (n *node) grpcMember(b *broker, refused func(remoting.Refusal)) *grpcapi.Member {
	return &grpcapi.Member{
		Name: b.name, Service: b.svc, Clients: b.front.Load().Clients(), Flush: b.notes.Flush, Leader: n.grpcLeader(b),
		Refused: func(c *service.Client, call, topic, group string, err *service.Error) {
			refused(remoting.Refusal{Request: err.Code, Client: c.Identity().ClientID, Addr: c.AddrText(), Topic: topic, Group: group, Text: call + ": " + err.Text})
		},
	}
}

// grpcOthers are the other nodes' addresses.
func (n *node) grpcOthers() (all []string) {
	for _, k := range n.conf.Replication.Nodes {
		if k.ID != n.conf.Replication.ID && k.GRPC != "" {
			all = append(all, k.GRPC)
		}
	}
	return all
}

// grpcLeader gives where clients reach the node that leads b's group.
func (n *node) grpcLeader(b *broker) func() (string, bool) {
	r := &n.conf.Replication
	if !r.on() {
		_, own := n.conf.grpcAt()
		return func() (string, bool) { return own, own != "" }
	}
	return func() (string, bool) {
		k := r.node(b.svc.Leader())
		if k == nil {
			return "", false
		}
		return k.GRPC, k.GRPC != ""
	}
}

const receiptKeyBytes = 32

// receiptKey signs receipts: it must be the same on all nodes, and after a restart.
func (n *node) receiptKey() ([]byte, error) {
	if r := &n.conf.Replication; r.on() {
		secret, err := r.key()
		if err != nil {
			return nil, err
		}
		h := hmac.New(sha256.New, secret)
		h.Write([]byte("contrail receipts " + n.conf.Cluster))
		return h.Sum(nil), nil
	}
	path := filepath.Join(n.conf.Dir, "receipts.key")
	key, err := os.ReadFile(path)
	if err == nil && len(key) == receiptKeyBytes {
		return key, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("dir: %w", err)
	}
	key = make([]byte, receiptKeyBytes)
	_, _ = rand.Read(key)
	return key, vfs.WriteFileAtomic(vfs.OS{}, path, key)
}

// certificate is the configured one, or one that is made now: SDKs of most languages use TLS and do not ask who vouches for it.
func (n *node) certificate(advertise string) (*tls.Config, error) {
	if n.conf.GRPC.TLS == tlsDisabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	if n.conf.GRPC.Cert != "" {
		pair, err := tls.LoadX509KeyPair(n.conf.GRPC.Cert, n.conf.GRPC.Key)
		if err != nil {
			return nil, fmt.Errorf("grpc.cert, grpc.key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
		return c, nil
	}
	host, _, _ := net.SplitHostPort(advertise)
	pair, err := selfSigned(host)
	c.Certificates = []tls.Certificate{pair}
	return c, err
}

func selfSigned(host string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "contrail, self-signed " + strconv.FormatInt(now.Unix(), 10)},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"},
	}
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = append(t.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
