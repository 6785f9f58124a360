// Package sql92 is RocketMQ's SQL92 message filter: an expression is compiled once and then evaluated over the encoded property
// run of each message, in place.
//
//	expr    = and { OR and }              and   = equal { AND equal }
//	equal   = compare { (=|<>) compare | IS [NOT] NULL }
//	compare = unary { (>|>=|<|<=) unary | [NOT] BETWEEN unary AND unary | [NOT] IN ('a', …)
//	          | [NOT] (CONTAINS|STARTSWITH|ENDSWITH) 'a' }
//	unary   = (+|-|NOT) unary | literal | name | ( expr )
//
// Words: a Filter is a compiled expression, a program of a small stack machine; it is immutable. A Scratch is the memory that an
// evaluation needs; it belongs to one goroutine. An Outcome is Yes, No, Unknown (the NULL of three-valued logic) or Failed (a value
// could not be compared): only Yes lets the message through.
//
// What a value is (org.apache.rocketmq.filter.expression.ComparisonExpression): a property is text or absent. A literal is text, a
// 32-bit number, a 64-bit one when it does not fit, a double, or a boolean. Text meets another type by being read as that type, exactly:
// `a > 5` with a = "5.5" or "3000000000" fails, because 5 is a 32-bit number; write 5.0 or 5000000000 to compare as those. A failure ends
// the evaluation, also inside OR. Text is ordered as doubles, never as text. `a = b` with both absent is true; `a = 1` with a absent is
// unknown. A bare name is false when it is there. -name is unknown. NOT CONTAINS of an absent name is false.
//
// Where this deviates from the Java grammar, which stops reading at the first token that it cannot use: what follows a complete
// expression is an error here, never ignored. `0L` is 0, a comment may end with the expression. An expression is refused when it is
// longer than MaxLength, nested deeper than MaxDepth or names more than MaxNames properties.
//
// Invariants: Compile's time and memory are linear in the expression. Eval's work is bounded by Budget whatever expression and message
// are; it allocates nothing once its Scratch has grown. Neither panics on any input. No goroutines, no clock.
//
// How it is used: service compiles an expression when a subscription or a pull names it (Error gives the text for code 23), keeps it
// beside the tag filters, and evaluates it per message after the tag hash. Nothing of it is in the log or in a checkpoint.
//
// Files: lexer.go, parser.go (grammar to program), rules.go (what the grammar allows but Java refuses), eval.go, convert.go (Java's
// numbers). testdata/java.txt holds what the Java filter of 5.5.0 answered to generated expressions.
package sql92
