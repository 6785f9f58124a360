package grpcapi

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"
)

// Words of a signed call (rocketmq-clients' Signature; the proxy's org.apache.rocketmq.auth.authentication.builder.DefaultAuthenticationContextBuilder).
const (
	authorizationKey = "authorization"
	authorizationMax = 1024
	signedBy         = "MQv2-HMAC-SHA1"
	credentialField  = "Credential"
	signatureField   = "Signature"
)

// authorization is what a client signed a call with: "MQv2-HMAC-SHA1 Credential=KEY/region/service, SignedHeaders=x-mq-date-time, Signature=HEX".
type authorization struct {
	accessKey, signature string
}

// parseAuthorization reads it; false: it is none, or is not whole.
func parseAuthorization(text string) (a authorization, ok bool) {
	kind, rest, _ := strings.Cut(text, " ")
	if kind != signedBy || len(text) > authorizationMax {
		return a, false
	}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case credentialField:
			a.accessKey, _, _ = strings.Cut(value, "/")
		case signatureField:
			a.signature = value
		}
	}
	if a.accessKey == "" || a.signature == "" || hasControl(a.accessKey) {
		return authorization{}, false
	}
	return a, true
}

// accessKeyOf is the key with which a call is signed; empty: it is not.
func accessKeyOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	a, _ := parseAuthorization(first(md, authorizationKey))
	return a.accessKey
}
