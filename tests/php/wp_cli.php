<?php
/**
 * Runs several WP-CLI commands in one process and tells what each printed: JSON in, JSON out.
 *
 *     wp eval-file wp_cli.php < ["action-scheduler action list --format=ids", ...]
 *
 * Where the tables of actions and logs were kept, each command finds them as they were kept.
 *
 * @package wpbridge
 */

global $wpdb;
$w_prefix = $wpdb->prefix . 'actionscheduler_';
$w_kept   = (bool) $wpdb->get_var( "SHOW TABLES LIKE 'kept_actions'" );
$w_told   = array();
foreach ( json_decode( stream_get_contents( STDIN ), true, 512, JSON_THROW_ON_ERROR ) as $w_command ) {
	foreach ( $w_kept ? array( 'actions', 'logs' ) : array() as $w_name ) {
		$wpdb->query( "DELETE FROM $w_prefix$w_name" );
		$wpdb->query( "INSERT INTO $w_prefix$w_name SELECT * FROM kept_$w_name" );
	}
	$w_given = WP_CLI::runcommand( $w_command, array( 'launch' => false, 'return' => 'all', 'exit_error' => false ) );
	$w_left  = array();
	foreach ( $wpdb->get_results( "SELECT action_id, status FROM {$w_prefix}actions" ) as $w_row ) {
		$w_left[ $w_row->action_id ] = $w_row->status;
	}
	$w_told[] = array( $w_given->return_code, $w_given->stdout, $w_given->stderr, (object) $w_left );
}
echo "\n", json_encode( $w_told, JSON_THROW_ON_ERROR );
