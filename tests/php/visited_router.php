<?php
/** Lets PHP's own server answer as a web server that hands to WordPress what is no file. */
$path = rawurldecode( explode( '?', $_SERVER['REQUEST_URI'], 2 )[0] );
$home = getenv( 'LAB_HOME_PATH' );
$file = $_SERVER['DOCUMENT_ROOT'] . preg_replace( '~(?<=\.php)/.*~', '', $path );
if ( is_file( $file ) || is_file( rtrim( $file, '/' ) . '/index.php' ) && trim( $path, '/' ) !== trim( $home, '/' ) ) {
	return false;
}
$_SERVER['SCRIPT_NAME']     = "$home/index.php";
$_SERVER['PHP_SELF']        = "$home/index.php";
$_SERVER['SCRIPT_FILENAME'] = $_SERVER['DOCUMENT_ROOT'] . "$home/index.php";
chdir( dirname( $_SERVER['SCRIPT_FILENAME'] ) );
require $_SERVER['SCRIPT_FILENAME'];
