package grpcapi

import "strings"

// Words of a signed call (rocketmq-clients' Signature; the proxy's org.apache.rocketmq.auth.authentication.builder.DefaultAuthenticationContextBuilder).
const (
	authorizationKey  = "authorization"
	authorizationMax  = 1024
	signedBy          = "MQv2-HMAC-SHA1"
	credentialField   = "Credential"
	signedHeaderField = "SignedHeaders"
	signatureField    = "Signature"
)

// authorization is what a client signed a call with: "MQv2-HMAC-SHA1 Credential=KEY/region/service, SignedHeaders=x-mq-date-time, Signature=HEX".
type authorization struct {
	accessKey, signedHeaders, signature string
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
		case signedHeaderField:
			a.signedHeaders = value
		case signatureField:
			a.signature = value
		}
	}
	return a, a.accessKey != "" && a.signature != "" && !hasControl(a.accessKey)
}
