package remoting

import (
	"slices"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
)

// What tools read of a subscription has its tags, with the hashes that Java gives them.
func TestSubscriptionsTellTheirTags(t *testing.T) {
	for _, w := range []struct {
		kind, expression string
		tags             []string
		codes            []int32
	}{
		{"TAG", "*", nil, nil},
		{"TAG", "", nil, nil},
		{"TAG", "a || order||a ||", []string{"a", "order"}, []int32{97, 106006350}},
		{"", "a", []string{"a"}, []int32{97}},
		{"SQL92", "a || b", nil, nil},
	} {
		d := subscribed(inspect.Subscription{Topic: "orders", Type: w.kind, Expression: w.expression})
		if !slices.Equal(d.Tags, w.tags) || !slices.Equal(d.Codes, w.codes) || d.Expression != w.expression || d.Tags == nil || d.Codes == nil {
			t.Errorf("%s %q: %+v", w.kind, w.expression, d)
		}
	}
}
