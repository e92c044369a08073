<?php
/**
 * Callbacks for the golden scenarios (fixtures/golden/README.md).
 *
 * @package wpbridge
 */

foreach ( array( 'g_fail', 'g_rec_fail', 'g_rec_fail_once' ) as $hook ) {
	add_action( $hook, function () { throw new RuntimeException( 'boom: détail' ); } );
}
// All others do nothing, but for g_nocallback, which has none.
add_action(
	'action_scheduler_begin_execute',
	function ( $id ) {
		global $wpdb;
		$hook = $wpdb->get_var( $wpdb->prepare( "SELECT hook FROM {$wpdb->prefix}actionscheduler_actions WHERE action_id = %d", $id ) );
		if ( 'g_nocallback' !== $hook && ! has_action( $hook ) ) {
			add_action( $hook, '__return_null' );
		}
	}
);
